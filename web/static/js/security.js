// Password, one-time pass, signing out.
import { $, ask, busy, el, hide, lead, show } from "./dom.js";
import { self } from "./device.js";
import { hints } from "./hints.js";
import { keep } from "./kept.js";
import { account, over, shown } from "./account.js";
import { Refused, trouble } from "./page.js";
import { fault, prove, record, warm } from "./password.js";
import { number, t, until } from "./words.js";
import { call, on } from "./wire.js";

let entry;

async function change(form) {
  hide($("trouble"), $("changed"));
  const about = { account: entry.account, what: "password change" };
  try {
    const bad = await fault(form.next.value, entry.account);
    if (bad) {
      $("next-hint").textContent = t(bad);
      form.next.focus();
      return;
    }
    const { grant } = await prove(entry.keys, { account: entry.account, purpose: "password", device_name: entry.name, client: self() }, form.password.value, about);
    const made = await record(form.next.value, (request) => call(entry.keys, "/v1/password/start", { grant, request }, about));
    const { sessions_ended: ended } = await call(entry.keys, "/v1/password/finish", { grant, session: entry.session, ...made }, about);
    form.password.value = form.next.value = "";
    $("changed").textContent = t("password.changed", { n: number(ended) });
    show($("changed"));
    lead($("changed"));
  } catch (error) {
    if (!(error instanceof Refused)) return trouble($("trouble"), error);
    // The session lives on: only this proof was refused.
    $("trouble").replaceChildren(t("password.refused"), " ", el("a", { href: `/incident/${error.reference}` }, error.reference));
    show($("trouble"));
    form.password.select();
  }
}

async function signOut(path) {
  try {
    await on(entry, path);
  } catch (error) {
    if (!(error instanceof Refused)) return over(error); // refused: it has ended already
  }
  await keep({ ...entry, session: null });
  location.assign("/");
}

async function start() {
  entry = await account();
  if (!entry) return;
  if (location.hash === "#not-me") show($("not-me"));
  const form = $("change");
  form.account.value = entry.account;
  hints(null, null, form.password, $("password-hint"));
  hints(null, null, form.next, $("next-hint"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const empty = [form.password, form.next].find((f) => f.value === "");
    if (empty) empty.focus();
    else busy(form.querySelector("[type=submit]"), () => change(form));
  });
  $("make-pass").addEventListener("click", () => busy($("make-pass"), async () => {
    try {
      const { pass, expires } = await on(entry, "/v1/pass");
      $("pass-text").value = pass;
      $("pass-until").textContent = t("pass.until", { time: until(expires) });
      show($("pass-made"));
    } catch (error) {
      over(error);
    }
  }));
  $("sign-out").addEventListener("click", () => busy($("sign-out"), () => signOut("/v1/sign-out")));
  $("sign-out-all").addEventListener("click", async () => {
    if (await ask(t("out.ask"), t("out.ask.what"), t("out.all"))) busy($("sign-out-all"), () => signOut("/v1/sign-out/everywhere"));
  });
  shown();
  setTimeout(warm, 50);
}

start();
