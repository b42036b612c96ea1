// The one page of a refusal: the same for everybody but for the reference, and
// for what anyone may know.
import { $, say } from "./dom.js";
import { has, t } from "./words.js";

// refused puts the page in place of what was tried, and returns it.
export function refused(refusal, retry) {
  $("refused")?.remove();
  $("main").append($("template-refused").content.cloneNode(true));
  for (const id of ["refused-reference", "refused-again"]) $(id).textContent = refusal.reference;
  $("refused-why").href = `/incident/${refusal.reference}`;
  $("refused-qr").src = `/qr/${refusal.reference}`;
  const known = `public.${refusal.cause}`;
  if (has(known)) $("refused-public").textContent = t(known);
  $("refused-copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(refusal.reference);
    say(t("copied"));
    $("refused-copy").textContent = t("copied");
  });
  $("refused-retry").addEventListener("click", retry);
  return $("refused");
}
