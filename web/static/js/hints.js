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

  // Where the system keeps to itself that caps lock is on, as remote desktops
  // do, a capital without shift tells it.
  function caps(e) {
    if (!e.getModifierState) return; // the browser's own filling in
    const pressed = e.type === "keydown" && letter(e);
    const on = e.getModifierState("CapsLock") || Boolean(pressed && e.key !== pressed[1] && !e.shiftKey);
    if (on || pressed || e.key === "CapsLock") found.caps = on;
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
  password.form?.addEventListener("reset", () => {
    found.caps = found.layout = false; // now: what is typed into a dialog that opens may come before the line
    setTimeout(tell); // once it is empty
  });
  password.addEventListener("blur", () => { found.caps = false; tell(); });
}
