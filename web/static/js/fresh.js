// What needs a fresh proof of the password: asked for when the server does.
import { $, busy, hide, opened, rest, show, shut } from "./dom.js";
import { self } from "./device.js";
import { hints } from "./hints.js";
import { Problem } from "./page.js";
import { prove } from "./password.js";
import { put } from "./press.js";
import { t } from "./words.js";
import { on } from "./wire.js";

for (const form of document.querySelectorAll("#prove form, #closing form")) hints(null, null, form.password, form.querySelector(".hint"));

// grant has the password proved for a purpose, in a dialog that stays until it
// is right; null when the person thought better of it. missing says what the
// form's field for a word lacks, where it has one.
export async function grant(entry, purpose, dialog = $("prove"), missing = () => "") {
  const form = dialog.querySelector("form");
  const box = form.querySelector("[role=alert]");
  const button = form.querySelector("[type=submit]");
  let granted = null;
  hide(box);
  rest(button); // from a proof that was under way when the dialog was left
  form.reset();
  form.account.value = entry.account;
  const start = { account: entry.account, purpose, device_name: entry.name, client: self() };
  const submit = form.onsubmit = (e) => {
    e.preventDefault();
    hide(box);
    const lacking = missing(form);
    if (lacking || form.password.value === "") {
      box.textContent = t(lacking || "prove.empty");
      show(box);
      (lacking ? form.word : form.password).focus();
      return;
    }
    busy(button, async () => {
      try {
        granted = (await prove(entry.keys, start, form.password.value, { account: entry.account, what: purpose })).grant;
        if (form.onsubmit === submit) shut(dialog); // else it is open for another
      } catch (error) {
        if (form.onsubmit !== submit) return;
        put(box, error);
        form.password.select();
      }
    });
  };
  form.querySelector(".no").onclick = () => shut(dialog);
  await opened(dialog);
  if (!dialog.open) form.reset();
  return granted;
}

// fresh makes a call, and makes it again with a grant where one is wanted.
// It returns undefined when the person thought better of it.
export async function fresh(entry, path, message = {}) {
  try {
    return await on(entry, path, message);
  } catch (error) {
    if (!(error instanceof Problem) || error.reason !== "fresh") throw error;
  }
  const proved = await grant(entry, "settings");
  return proved ? on(entry, path, { ...message, grant: proved }) : undefined;
}
