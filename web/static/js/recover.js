// Ways in for who has forgotten the password, or the account's name; and what
// can be done without a device: stopping a recovery, letting support look.
//
//	#case=ACCOUNT         a recovery that this browser has begun
//	#stop=WORD            from a message: stops the recovery it tells of
//	#stop=                asks for that word
//	#support=REFERENCE    lets support see an incident, by a recovery code
//
// What stands after the # is sent to nobody, and nothing happens without a press.
import { $, busy, el, go, hide, name, show } from "./dom.js";
import { newKey, ownName, self } from "./device.js";
import { hints } from "./hints.js";
import { account, cases, keepCase, normal } from "./kept.js";
import { address, told, view, wire } from "./case.js";
import { usable } from "./page.js";
import { asReference } from "./report.js";
import { call } from "./wire.js";
import { t, when } from "./words.js";

// Only one who begins again with the same key goes on with a case.
async function begin(form) {
  hide($("trouble"));
  try {
    const typed = form.account.value;
    const before = (await cases()).find((c) => c.account === normal(typed));
    const keys = before?.keys ?? (await account(typed))?.keys ?? await newKey();
    const message = { account: typed, device_name: ownName(), client: self() };
    if (form.word.value.trim()) message.word = form.word.value.trim();
    const about = { account: normal(typed), what: "recovery" };
    const begun = await call(keys, "/v1/recovery/start", message, about);
    const kept = { account: about.account, keys, claim: begun.recovery, since: Date.now() };
    await keepCase(kept);
    await view(kept);
  } catch (error) {
    $("trouble").textContent = told(error);
    show($("trouble"));
  }
}

// sends is a form that is answered on a line of its own. message returns what
// is sent, or null where something was typed wrongly and is told.
function sends(id, path, message, line) {
  $(id).addEventListener("submit", (e) => {
    e.preventDefault();
    const empty = [...e.target.querySelectorAll("input")].find((f) => !f.value.trim());
    if (empty) return empty.focus();
    return busy(e.target.querySelector("[type=submit]"), async () => {
      const sent = message(e.target);
      if (!sent) return;
      $(line).textContent = "";
      try {
        await call(await newKey(), path, sent, { account: "", what: "recovery" });
        $(line).textContent = t(line);
        e.target.reset();
      } catch (error) {
        $(line).textContent = told(error);
      }
    });
  });
}

function support(form) {
  const reference = asReference(form.reference.value);
  $("support-hint").textContent = reference ? "" : t("reference.form");
  if (!reference) {
    form.reference.focus();
    return null;
  }
  return { reference, account: form.account.value, code: form.code.value.trim() };
}

// stopping is the page behind a message's link.
function stopping(word) {
  hide($("begin"));
  $("stop-shown").textContent = word;
  $("stop-now").addEventListener("click", () => busy($("stop-now"), async () => {
    hide($("stop-trouble"));
    try {
      await call(await newKey(), "/v1/recovery/cancel", { word }, { account: "", what: "recovery" });
      history.replaceState(null, "", location.pathname); // the word is of no more use
      hide($("stop-ask"));
      go($("stopped"));
    } catch (error) {
      $("stop-trouble").textContent = told(error);
      show($("stop-trouble"));
    }
  }));
  go($("stopping"));
}

// list offers the recoveries that this browser has begun.
function list(kept) {
  $("begun").hidden = kept.length === 0;
  $("begun-list").replaceChildren(...kept.map((c) => el("li", {}, el("a", { class: "button row", href: address(c.account) }, name(c.account),
    el("span", { class: "dim" }, c.since ? t("recover.since", { when: when(c.since / 1000) }) : "")))));
}

async function start() {
  if (!usable()) return;
  wire();
  hints(null, null, $("password"), $("password-hint"));
  const form = $("begin-form");
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (form.account.value.trim()) busy(form.querySelector("[type=submit]"), () => begin(form));
    else form.account.focus();
  });
  sends("forgot-form", "/v1/recovery/identifier", (f) => ({ email: f.email.value.trim() }), "forgot-told");
  sends("stop-form", "/v1/recovery/cancel", (f) => ({ word: f.word.value.trim() }), "stop-told");
  sends("support-form", "/v1/approvals/approve", support, "support-told");

  addEventListener("hashchange", () => location.reload());
  for (const a of document.querySelectorAll(".tongues a")) a.addEventListener("click", () => { a.hash = location.hash; });
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.get("stop")) return stopping(wanted.get("stop"));
  if (wanted.has("stop")) {
    $("stop").open = true;
    $("stop-word").focus();
    return;
  }
  const kept = await cases();
  list(kept);
  if (wanted.has("support")) {
    $("support-reference").value = wanted.get("support");
    $("support").open = true;
    $("support-account").focus();
    return;
  }
  const one = wanted.has("case") ? kept.find((c) => c.account === wanted.get("case")) : wanted.has("new") || kept.length > 1 ? null : kept[0];
  if (one) return view(one);
  if (wanted.has("case")) {
    $("trouble").textContent = t("recover.elsewhere");
    show($("trouble"));
  }
}

start();
