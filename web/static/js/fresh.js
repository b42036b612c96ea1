// What needs a fresh proof of the password: asked for when the server does.
import { $ } from "./dom.js";
import { self } from "./device.js";
import { prove } from "./password.js";
import { Problem, on } from "./wire.js";

// ask has the password typed; null when it was not.
function ask(account) {
  const dialog = $("prove");
  const form = $("prove-form");
  $("prove-account").value = account;
  $("prove-password").value = "";
  $("prove-no").onclick = () => dialog.close("no");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    const typed = form.password.value;
    form.password.value = "";
    done(dialog.returnValue === "yes" && typed ? typed : null);
  }, { once: true }));
}

// grant proves the password for a purpose. It throws what a sign-in would.
export async function grant(entry, purpose) {
  const typed = await ask(entry.account);
  if (typed === null) return null;
  const start = { account: entry.account, purpose, device_name: entry.name, client: self() };
  return (await prove(entry.keys, start, typed, { account: entry.account, what: purpose })).grant;
}

// fresh makes a call, and makes it again with a grant where one is wanted.
// It returns undefined when the person thought better of it.
export async function fresh(entry, path, message = {}) {
  try {
    return await on(entry, path, message);
  } catch (error) {
    if (!(error instanceof Problem) || !error.detail.startsWith("this needs a fresh proof")) throw error;
  }
  const proved = await grant(entry, "settings");
  return proved ? on(entry, path, { ...message, grant: proved }) : undefined;
}
