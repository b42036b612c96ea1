// What every page begins with: where it is, what it can do, and what may go
// wrong on it.
import { $, show } from "./dom.js";
import { has, t } from "./words.js";

export const server = document.querySelector('meta[name="readmit-url"]').content;

// Refused is code 4001: who may know why asks with the incident.
export class Refused extends Error {
  constructor(problem) {
    super("refused");
    this.reference = problem.reference;
    this.incident = problem.incident;
    this.cause = problem.type.slice(problem.type.lastIndexOf("/") + 1);
  }
}

// Problem is any other answer that is none.
export class Problem extends Error {
  constructor(problem) {
    super(problem.title);
    this.code = problem.code;
    this.reason = problem.reason ?? "";
    this.detail = problem.detail ?? "";
  }
}

export class Unreachable extends Error {}

// able says whether this browser can make and use passkeys.
export const able = Boolean(globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON);

// usable says whether this page can work: at the address that proofs are made
// for, in a browser that has what it needs.
export function usable() {
  const here = location.origin === server;
  if (!here) show($("elsewhere"));
  return here && !$("incomplete") && Boolean(globalThis.crypto?.subtle);
}

for (const button of document.querySelectorAll(".reveal")) {
  button.addEventListener("click", () => {
    const field = $(button.dataset.reveals);
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
  });
}

// problem says what went wrong in the page's language: by the server's word
// for it, or by its code.
export function problem(error) {
  if (error instanceof Unreachable) return t("problem.unreachable");
  if (!(error instanceof Problem)) return t("problem.fault");
  const key = [`problem.${error.reason}`, `problem.${error.code}`].find(has);
  return key ? t(key) : error.detail || error.message;
}

// trouble shows an error that is no refusal beside the form it is of.
export function trouble(box, error) {
  if (!(error instanceof Problem || error instanceof Unreachable)) console.error(error);
  box.textContent = problem(error);
  show(box);
}
