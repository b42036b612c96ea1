// What every page of an account begins with.
import { $, el, go, hide, name, show } from "./dom.js";
import { listen } from "./events.js";
import { accounts, choose, current } from "./kept.js";
import { Refused, trouble, usable } from "./page.js";
import { refused } from "./refused.js";
import { SETTLE } from "./settle.js";
import { t } from "./words.js";
import { on } from "./wire.js";

const SOON = 800; // milliseconds

// shown shows what is inside once its first things are there, so that it does
// not move while it fills; or soon, where they are slow.
export async function shown(...first) {
  await Promise.race([Promise.allSettled(first), new Promise((go) => setTimeout(go, SOON))]);
  if ($("refused")) return;
  show($("inside"));
  const meant = $(location.hash.slice(1)); // what was hidden when the address was followed
  meant?.scrollIntoView({ block: "center" });
  meant?.focus({ preventScroll: true });
}

// account starts one of the account's pages, or shows that nobody is signed
// in; the page itself says when it is shown. What appears by itself goes to heard; elsewhere a line says that somebody
// asks. changed is called when something else of the account has.
export async function account(heard = announce, changed = () => {}) {
  if (!usable()) return null;
  const entry = await current();
  if (!entry) {
    sessionStorage.setItem("readmit-after", location.pathname);
    show($("signed-out"));
    return null;
  }
  show($("who"));
  $("who-account").textContent = entry.account;
  for (const other of await accounts()) {
    if (other.account === entry.account || !other.session) continue;
    $("who-others").append(el("li", {}, el("button", { type: "button", class: "quiet", on: { click: () => { choose(other); location.reload(); } } }, name(other.account))));
  }
  const warned = () => { if (!$("recoveries")) warn(entry); }; // the account's first page lists them
  warned();
  listen(entry, async (kind, value) => {
    if (kind === "requests") { heard(value.requests); fetched(entry, value.requests); }
    else if (kind === "changed") { warned(); changed(); }
    else await on(entry, "/v1/requests").catch((error) => over(error)); // ended: the refusal says it
  }).catch((error) => over(error));
  return entry;
}

const known = new Set(); // requests that the server knows to have come

// fetched lets the server know, once for each request, that it has come to
// somebody: of what it writes to a stream it cannot tell.
async function fetched(entry, requests) {
  const fresh = requests.filter((r) => r.status === "waiting" && !known.has(r.id));
  if (!fresh.length) return;
  for (const { id } of fresh) known.add(id);
  await on(entry, "/v1/requests").catch(() => { for (const { id } of fresh) known.delete(id); }); // the next stream tries again
}

// line shows or hides a line that leads to the account's first page. It lies
// over the page's lower edge, so that nothing moves under a pointer; and for a
// moment a press goes through it, to what was meant.
function line(id, kind, text, wanted) {
  const before = $(id);
  if (before && before.hidden === !wanted || !before && !wanted) return;
  const p = before ?? el("p", { class: kind, id }, el("a", { href: "/account" }, text));
  p.hidden = !wanted;
  p.classList.remove("settled");
  if (wanted) setTimeout(() => p.classList.add("settled"), SETTLE);
  $("news").append(p);
}

const announce = (requests) => line("asked", "notice", t("request.somebody"), requests.some((r) => r.status === "waiting"));

export const RUNNING = ["unproved", "waiting", "open"]; // states of a recovery that goes on

// warn tells of recoveries for which something was proved: what anybody can
// begin does not get onto every page.
async function warn(entry) {
  try {
    const { recoveries } = await on(entry, "/v1/recoveries");
    line("recovering", "notice bad", t("recoveries.somebody"), recoveries.some((r) => r.state === "waiting" || r.state === "open"));
  } catch {
    // what keeps this from being known, the page's own calls say
  }
}

// over shows what ended a session, or the error in a box, if there is one.
export function over(error, box) {
  if (error instanceof Refused) {
    hide($("inside"));
    go(refused(error, () => location.assign("/")));
  } else if (box) {
    trouble(box, error);
  } else {
    const told = el("p", { class: "notice bad", role: "alert" });
    document.querySelector("main h1")?.after(told);
    trouble(told, error);
  }
}
