// Signing in, from the press of the button on: by a password and a code, or by
// a passkey.
import { newKey, ownName, self } from "./device.js";
import { $, busy, go, hide, show } from "./dom.js";
import { inside, keepSignedIn } from "./inside.js";
import { account, accounts, latest, normal } from "./kept.js";
import { Refused, able, problem, trouble } from "./page.js";
import { Another, Stopped, enter } from "./passkeys.js";
import { prove } from "./password.js";
import { refused } from "./refused.js";
import { number, t } from "./words.js";
import { call } from "./wire.js";

const DIGITS = /^\d{3}[ -]?\d{3}$/;

function refusal(error, from) {
  hide(from);
  go(refused(error, () => {
    $("refused").remove();
    $("password").value = "";
    go($("enter"));
    $("password").focus();
  }));
}

export async function signIn(form) {
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
export async function withPasskey(entry) {
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

  $("code-passkey").hidden = !able || !$("passkey");
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
