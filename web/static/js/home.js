// The first page: what is needed to type in it. What a press needs comes after.
import { $, busy, el, go, hide, name, show } from "./dom.js";
import { hints } from "./hints.js";
import { Unreachable, able, trouble, usable } from "./page.js";
import { t, when } from "./words.js";

// entering does what needs the rest of the modules.
async function entering(work) {
  let enter;
  try {
    enter = await import("./enter.js");
  } catch {
    return trouble($("trouble"), new Unreachable());
  }
  return work(enter);
}

async function start() {
  if (!usable()) return;
  const form = $("sign-in");
  hints(form.account, $("account-hint"), form.password, $("password-hint"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const empty = [form.account, form.password].find((f) => f.value === "");
    if (empty) {
      $("trouble").textContent = t("both-needed");
      show($("trouble"));
      empty.focus();
      return;
    }
    busy(form.querySelector("[type=submit]"), () => entering((enter) => enter.signIn(form)));
  });
  const passkey = $("passkey"); // there where the server has a name, as passkeys belong to one
  if (passkey) passkey.hidden = !able;
  passkey?.addEventListener("click", () => busy(passkey, () => entering((enter) => enter.withPasskey())));
  performance.mark("usable");
  import("./device.js").then(({ ownName }) => { form.device.placeholder = ownName(); });
  const before = sessionStorage.getItem("readmit-told"); // of what has led here
  sessionStorage.removeItem("readmit-told");
  if (before) {
    $("told").textContent = t(before);
    show($("told"));
  }
  $("another").addEventListener("click", () => { hide($("here")); go($("enter")); form.account.focus(); });

  const { accounts, choose } = await import("./kept.js");
  const here = (await accounts()).filter((a) => a.session);
  if (here.length > 0 && !location.search.includes("add")) {
    for (const entry of here) {
      $("accounts").append(el("li", {}, el("button", { type: "button", class: "row", on: { click: () => { choose(entry); import("./inside.js").then(({ inside }) => inside()); } } },
        name(entry.account), el("span", { class: "dim" }, t("signed-in-since", { when: when(entry.since / 1000) })))));
    }
    hide($("enter"));
    show($("here"));
  }
  setTimeout(() => entering(() => import("./password.js").then(({ warm }) => warm())), 50); // the page first
}

start();
