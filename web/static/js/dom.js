// The few things that all pages do to their document. Nothing is ever set as
// HTML: what others have named cannot become part of the page.
import { t } from "./words.js";

export const $ = (id) => document.getElementById(id);

// el makes an element; children are text or nodes, and null is left out.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === "on") for (const [event, f] of Object.entries(v)) e.addEventListener(event, f);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

export const code = (text) => el("code", { dir: "ltr" }, text);
export const name = (text) => el("bdi", {}, text);

export function show(...all) { for (const e of all) e.hidden = false; }
export function hide(...all) { for (const e of all) e.hidden = true; }

// say tells who listens instead of looking.
export function say(text) { $("say").textContent = text; }

// go moves to another state of the page: shown, and read from its heading on.
export function go(section) {
  show(section);
  section.querySelector("h1, h2")?.focus({ preventScroll: true });
  window.scrollTo({ top: 0 });
}

// lead takes whoever pressed something to what came of it. Who went on to
// something else meanwhile, perhaps in the middle of a word, stays there.
export function lead(to) {
  const at = document.activeElement;
  const elsewhere = at && at !== document.body && !at.closest("[hidden]") &&
    at.getAttribute("aria-busy") !== "true" && !at.closest("form")?.querySelector('[aria-busy="true"]');
  if (!elsewhere) to.focus();
}

const works = new WeakMap();

// busy keeps a button from being pressed twice while its work runs, and says
// so to those who listen.
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  const mine = {};
  works.set(button, mine);
  button.setAttribute("aria-busy", "true");
  say(t("working"));
  try {
    return await work();
  } finally {
    if (works.get(button) === mine) rest(button);
    if ($("say").textContent === t("working")) say(""); // what came of it stays said
  }
}

// rest lets a button be pressed again while work goes on that nobody waits for
// any more.
export function rest(button) {
  works.delete(button);
  button.removeAttribute("aria-busy");
}

const ends = new WeakMap();

// opened shows a dialog and waits until it is closed. A browser tells of that
// with its next frame, and until then a press of what opened it would not be
// heard: so Escape and the buttons of a question close it here, and whoever waits
// goes on at once. What is told late, of a dialog that is open again for another
// question, is not the end of that one.
export function opened(dialog) {
  ends.get(dialog)?.();
  dialog.onclose = () => { if (!dialog.open) ends.get(dialog)(); };
  dialog.oncancel = (e) => {
    e.preventDefault();
    shut(dialog);
  };
  dialog.onsubmit = (e) => {
    if (e.target.method !== "dialog") return;
    e.preventDefault();
    shut(dialog, e.submitter?.value);
  };
  dialog.showModal();
  return new Promise((end) => ends.set(dialog, end));
}

// shut closes an opened dialog, with an answer where there is one.
export function shut(dialog, answer) {
  dialog.close(answer);
  ends.get(dialog)();
}

// ask puts a question before something that cannot be taken back.
export async function ask(title, text, yes) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  await opened(dialog);
  return dialog.returnValue === "yes";
}
