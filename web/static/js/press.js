// Pressing a button or sending a form, and being told what went wrong beside it.
import { $, busy, el, hide, show } from "./dom.js";
import { Problem, Refused, Unreachable, problem } from "./page.js";
import { Stopped } from "./passkeys.js";
import { t } from "./words.js";

const box = $("trouble");

// put says what went wrong in a box. A refusal of one code or password ends no
// session: it leads to its explanation.
export function put(where, error) {
  if (error instanceof Refused) where.replaceChildren(t("ways.refused"), " ", el("a", { href: `/incident/${error.reference}` }, error.reference));
  else where.textContent = error instanceof Stopped ? t(error.known ? "problem.passkey-known" : "passkey.stopped") : problem(error);
  if (![Refused, Stopped, Problem, Unreachable].some((kind) => error instanceof kind)) console.error(error);
  show(where);
}

function told(near, error) {
  const before = near.closest("form, p");
  if (before) before.before(box);
  else (near.closest("li") ?? near.closest("section")).append(box);
  put(box, error);
  box.scrollIntoView({ block: "nearest" });
}

async function tried(near, work) {
  hide(box);
  try {
    await work();
  } catch (error) {
    told(near, error);
  }
}

export const press = (button, work) => button.addEventListener("click", () => busy(button, () => tried(button, work)));

// sent does the work of a form, unless its one field is empty.
export function sent(form, field, work) {
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (field.required && field.value.trim() === "") return field.focus();
    const button = form.querySelector("[type=submit]");
    return busy(button, () => tried(button, () => work(field.value.trim())));
  });
}
