// Signing in.
import { $, busy, el, go, hide, name, show } from "./dom.js";
import { fromBase64url, newKey, ownName, self } from "./device.js";
import { account, accounts, choose, keep, latest, normal } from "./kept.js";
import { hints } from "./hints.js";
import { secretKey } from "./codes.js";
import { problem, trouble, usable } from "./page.js";
import { Another, Stopped, able, enter } from "./passkeys.js";
import { prove, warm } from "./password.js";
import { refused } from "./refused.js";
import { number, t, when } from "./words.js";
import { Refused, call } from "./wire.js";

const DIGITS = /^\d{3}[ -]?\d{3}$/;

// subjectOf is how the server names the account, in tokens and to passkeys.
const subjectOf = (token) => JSON.parse(new TextDecoder().decode(fromBase64url(token.split(".")[1]))).sub;

// keepSignedIn keeps what a finished sign-in gave this browser.
export async function keepSignedIn(keys, deviceName, done) {
  const entry = {
    account: done.account, subject: subjectOf(done.access_token), device: done.device, session: done.session, keys, name: deviceName,
    codes: await secretKey(fromBase64url(done.code_secret)), since: Date.now(),
  };
  await keep(entry);
  choose(entry);
}

// inside goes to where somebody wanted to be, on this site and nowhere else.
export function inside() {
  const wanted = sessionStorage.getItem("readmit-after") ?? "";
  sessionStorage.removeItem("readmit-after");
  location.assign(/^\/(account|incident|desk)(\/[\w-]+)?$/.test(wanted) ? wanted : "/account");
}

function refusal(error, from) {
  hide(from);
  go(refused(error, () => {
    $("refused").remove();
    $("password").value = "";
    go($("enter"));
    $("password").focus();
  }));
}

async function signIn(form) {
  hide($("trouble"));
  const typed = form.account.value;
  const known = await account(typed);
  const keys = known?.keys ?? await newKey();
  const deviceName = form.device.value.trim() || known?.name || ownName();
  const about = { account: normal(typed), what: "sign-in" };
  const start = { account: typed, purpose: "sign-in", device_name: deviceName, client: self() };
  if (form.pass.value.trim()) start.pass = form.pass.value.trim();
  try {
    const done = await prove(keys, start, form.password.value, about);
    form.password.value = "";
    if (done.signed_in) {
      await keepSignedIn(keys, deviceName, done.signed_in);
      inside();
    } else {
      hide($("enter"), $("here"));
      askForCode({ keys, deviceName, about, need: done.code_needed });
    }
  } catch (error) {
    if (error instanceof Refused) refusal(error, $("enter"));
    else trouble($("trouble"), error);
  }
}

// withPasskey signs in with a passkey alone: it names the account. Each account
// has a key of its own in this browser, so that it is the same device again;
// whose it is, is known once the passkey was chosen. Mostly it is the one that
// was here last; where it is not, the passkey is asked for again.
async function withPasskey(entry) {
  hide($("trouble"));
  const here = await accounts();
  entry ??= await latest();
  if (!entry?.subject) entry = null;
  const keys = entry?.keys ?? await newKey();
  const deviceName = $("device").value.trim() || entry?.name || ownName();
  const fits = (subject) => (here.find((a) => a.subject === subject)?.account ?? null) === (entry?.account ?? null);
  try {
    await keepSignedIn(keys, deviceName, await enter(keys, ["/v1/passkey/start", "/v1/passkey/finish"], { device_name: deviceName, client: self() }, { account: "", what: "sign-in" }, fits));
    inside();
  } catch (error) {
    if (error instanceof Another) return withPasskey(here.find((a) => a.subject === error.subject) ?? {});
    if (error instanceof Refused) return refusal(error, $("enter"));
    if (error instanceof Stopped) $("trouble").textContent = t("passkey.stopped");
    else trouble($("trouble"), error);
    show($("trouble"));
  }
}

// askForCode waits for the six digits that an enrolled device shows.
function askForCode({ keys, deviceName, about, need }) {
  let left = need.tries;
  const form = $("code-form");
  $("code-request").textContent = need.request;
  go($("code"));

  async function give(code) {
    hide($("code-trouble"));
    try {
      await keepSignedIn(keys, deviceName, await call(keys, "/v1/sign-in/code", { attempt: need.attempt, code }, about));
      inside();
    } catch (error) {
      form.digits.value = "";
      if (!(error instanceof Refused)) {
        $("code-trouble").textContent = problem(error);
        show($("code-trouble"));
        return;
      }
      left -= 1;
      if (code === "" || left <= 0 || Date.now() / 1000 > need.expires) {
        refusal(error, $("code"));
        return;
      }
      $("code-trouble").textContent = t("code.not-accepted", { reference: error.reference, left: number(left) });
      show($("code-trouble"));
      form.digits.focus();
    }
  }

  $("code-passkey").hidden = !able;
  $("code-passkey").onclick = () => busy($("code-passkey"), async () => {
    hide($("code-trouble"));
    try {
      await keepSignedIn(keys, deviceName, await enter(keys, ["/v1/sign-in/passkey/start", "/v1/sign-in/passkey/finish"], { attempt: need.attempt }, about));
      inside();
    } catch (error) {
      if (error instanceof Refused) return refusal(error, $("code"));
      $("code-trouble").textContent = error instanceof Stopped ? t("passkey.stopped") : problem(error);
      show($("code-trouble"));
    }
  });

  form.onsubmit = (e) => {
    e.preventDefault();
    const typed = form.digits.value.trim();
    $("digits-hint").textContent = DIGITS.test(typed) ? "" : t("code.form");
    if (DIGITS.test(typed)) busy(form.querySelector("[type=submit]"), () => give(typed.replace(/[ -]/, "")));
    else form.digits.focus();
  };
  $("none").onclick = () => busy($("none"), () => give(""));
  $("over").onclick = () => { hide($("code")); go($("enter")); };
}

async function start() {
  if (!usable()) return;
  const form = $("sign-in");
  form.device.placeholder = ownName();
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
    busy(form.querySelector("[type=submit]"), () => signIn(form));
  });
  performance.mark("usable");
  const before = sessionStorage.getItem("readmit-told"); // of what has led here
  sessionStorage.removeItem("readmit-told");
  if (before) {
    $("told").textContent = t(before);
    show($("told"));
  }
  $("passkey").hidden = !able || /^\d|\[/.test(location.hostname); // a passkey belongs to a name
  $("passkey").addEventListener("click", () => busy($("passkey"), () => withPasskey()));
  $("another").addEventListener("click", () => { hide($("here")); go($("enter")); form.account.focus(); });

  const here = (await accounts()).filter((a) => a.session);
  if (here.length > 0 && !location.search.includes("add")) {
    for (const entry of here) {
      $("accounts").append(el("li", {}, el("button", { type: "button", class: "row", on: { click: () => { choose(entry); inside(); } } },
        name(entry.account), el("span", { class: "dim" }, t("signed-in-since", { when: when(entry.since / 1000) })))));
    }
    hide($("enter"));
    show($("here"));
  }
  setTimeout(warm, 50); // the page first
}

if (document.body.classList.contains("home")) start();
