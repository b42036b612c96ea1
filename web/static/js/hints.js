// What is wrong with typing, told before anything is sent: caps lock, another
// keyboard layout, a space too many. Nothing of a password is kept: the layout
// is learned from the identifier alone.
import { t } from "./words.js";

const LAYOUT = "readmit-layout";

// hints watches an identifier's and a password's field, each with its line.
export function hints(identifier, identifierLine, password, passwordLine) {
  let learned; // read with the first key: storage makes a page wait
  const layout = () => learned ??= new Map(JSON.parse(localStorage.getItem(LAYOUT) ?? "[]"));
  const found = { caps: false, layout: false };

  const spaced = (s) => s !== s.trim();
  const latin = (s) => !/\p{L}/u.test(s) || /\p{Script=Latin}/u.test(s);
  const otherScript = () => latin(identifier?.value ?? "") && /\p{L}/u.test(password.value) && !/\p{Script=Latin}/u.test(password.value);

  function tell() {
    if (identifierLine) identifierLine.textContent = spaced(identifier.value) ? t("hint.space.identifier") : "";
    const all = [];
    if (found.caps) all.push(t("hint.caps"));
    if (password.value !== "" && (found.layout || otherScript())) all.push(t("hint.layout"));
    if (password.value !== "" && spaced(password.value)) all.push(t("hint.space.password"));
    const told = all.join(" ");
    if (passwordLine.textContent !== told) passwordLine.textContent = told;
  }

  // A letter's key and what it gives, where no modifier changes that.
  function letter(e) {
    if (!/^Key[A-Z]$/.test(e.code) || e.ctrlKey || e.altKey || e.metaKey || [...(e.key ?? "")].length !== 1) return null;
    return [e.code, e.key.toLowerCase()];
  }

  function caps(e) {
    if (e.getModifierState) found.caps = e.getModifierState("CapsLock");
    tell();
  }

  identifier?.addEventListener("keydown", (e) => {
    const pressed = letter(e);
    if (pressed) layout().set(...pressed);
  });
  identifier?.addEventListener("change", () => localStorage.setItem(LAYOUT, JSON.stringify([...layout()])));
  identifier?.addEventListener("input", tell);
  password.addEventListener("keydown", (e) => {
    const pressed = letter(e);
    if (pressed && layout().has(pressed[0])) found.layout = layout().get(pressed[0]) !== pressed[1];
    caps(e);
  });
  password.addEventListener("keyup", caps);
  password.addEventListener("input", tell);
  password.addEventListener("blur", () => { found.caps = false; tell(); });
}
