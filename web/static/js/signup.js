// Making an account, with this browser as its first device.
import { $, busy, show, hide } from "./dom.js";
import { newKey, ownName, self } from "./device.js";
import { account, normal } from "./kept.js";
import { hints } from "./hints.js";
import { inside, keepSignedIn } from "./inside.js";
import { over } from "./account.js";
import { Refused, trouble, usable } from "./page.js";
import { fault, record, warm } from "./password.js";
import { call, hello } from "./wire.js";
import { t } from "./words.js";

async function make(form) {
  hide($("trouble"));
  const typed = form.account.value;
  const about = { account: normal(typed), what: "sign-up" };
  const first = { account: typed, client: self() };
  if (form.invitation.value.trim()) first.invitation = form.invitation.value.trim();
  const deviceName = form.device.value.trim() || ownName();
  try {
    const bad = await fault(form.password.value, typed);
    if (bad) {
      $("password-hint").textContent = t(bad);
      form.password.focus();
      return;
    }
    const keys = (await account(typed))?.keys ?? await newKey();
    const made = await record(form.password.value, (request) => call(keys, "/v1/sign-up/start", { ...first, request }, about));
    const done = await call(keys, "/v1/sign-up/finish", { ...first, ...made, device_name: deviceName }, about);
    form.password.value = "";
    await keepSignedIn(keys, deviceName, done);
    inside();
  } catch (error) {
    if (error instanceof Refused) hide(form);
    if (error instanceof Refused) over(error);
    else trouble($("trouble"), error);
  }
}

async function start() {
  if (!usable()) return;
  const form = $("sign-up");
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
    busy(form.querySelector("[type=submit]"), () => make(form));
  });
  setTimeout(warm, 50);
  try {
    if ((await hello()).invited) show($("invited"));
  } catch (error) {
    trouble($("trouble"), error);
  }
}

start();
