// The account at a glance: who asks to sign in, the code of the moment, what
// happened last.
import { $, busy, el, hide, name, say, show } from "./dom.js";
import { grouped, now } from "./codes.js";
import { countdown } from "./countdown.js";
import { line } from "./ledger.js";
import { account, over, shown as showInside } from "./account.js";
import { Problem, problem } from "./page.js";
import { recoveriesOf } from "./recoveries.js";
import { inTurn, refill, settle } from "./settle.js";
import { number, software, t, when } from "./words.js";
import { on } from "./wire.js";

let entry;
const shown = new Map(); // codes on view, by request: what stops their countdown

function described(r) {
  return el("div", {},
    el("p", {}, el("strong", {}, name(r.name)), " ", t("request.asks"), " ", el("span", { class: "tag", dir: "ltr" }, r.id)),
    el("p", { class: "dim" }, t("request.where", { address: r.address, client: software(r.client), when: when(r.opened) })));
}

function answer(r) {
  const box = el("div", { class: "answer" });
  const allow = el("button", { type: "button", class: "main" }, t("request.allow"));
  const deny = el("button", { type: "button", class: "danger" }, t("request.deny"));
  allow.addEventListener("click", () => { shown.set(r.id, countdown(entry, "/v1/requests/allow", r, box, grouped)); });
  deny.addEventListener("click", () => busy(deny, async () => {
    try {
      await on(entry, "/v1/requests/deny", { id: r.id });
      box.replaceChildren(outcome("denied"));
    } catch (error) {
      if (error instanceof Problem) box.replaceChildren(el("p", {}, problem(error)));
      else over(error);
    }
  }));
  box.append(el("p", { class: "go" }, allow, " ", deny));
  return box;
}

function outcome(status) {
  const next = status === "denied" ? el("a", { href: "/account/security#not-me" }, t("request.denied.next")) : null;
  return el("p", { class: "outcome" }, t(`request.${status}`), " ", next);
}

const seen = new Map(); // rows, by request

function draw(requests) {
  const ids = new Set(requests.map((r) => r.id));
  for (const r of requests.toReversed()) { // the newest goes to the top
    const before = seen.get(r.id);
    if (before && before.status === r.status) continue;
    const over = r.status === "done" || r.status === "denied";
    if (over) { shown.get(r.id)?.(); shown.delete(r.id); }
    if (before && !over) { before.status = r.status; continue; }
    const row = el("li", { class: "request", id: `request-${r.id}` }, described(r), over ? outcome(r.status) : answer(r));
    if (before) before.row.replaceWith(row);
    else $("requests-list").prepend(row);
    seen.set(r.id, { row, status: r.status });
    if (!over) say(t("request.new", { name: r.name }));
  }
  for (const [id, { row }] of seen) {
    if (ids.has(id)) continue;
    shown.get(id)?.();
    row.remove();
    seen.delete(id);
  }
  $("requests-none").hidden = seen.size > 0;
}

let wanted;

function list(requests) {
  wanted = requests; // the newest, where several wait to be drawn
  return settle(() => draw(wanted));
}

const latest = inTurn(async () => {
  try {
    const { activity } = await on(entry, "/v1/activity");
    await settle(() => refill($("latest"), activity.slice(0, 4).map((a) => el("li", {}, ...line(a)))));
  } catch (error) {
    over(error);
  }
});

function button(key, kind, work) {
  const b = el("button", { type: "button", class: kind }, t(key));
  b.addEventListener("click", () => busy(b, async () => {
    try {
      await work(b);
    } catch (error) {
      if (error instanceof Problem) b.replaceWith(el("p", {}, problem(error)));
      else over(error);
    }
  }));
  return b;
}

let supportDrawn = "[[],[]]";

// support is what the desk asks for, and what it may see.
const support = inTurn(async () => {
  const { approvals, asked } = await on(entry, "/v1/approvals");
  const now = Date.now() / 1000;
  const given = approvals.filter((a) => !a.revoked && a.expires > now);
  const waiting = asked.filter((a) => a.kind === "ask" && !given.some((g) => g.reference === a.reference) && !approvals.some((g) => g.reference === a.reference && g.revoked >= a.at));
  const all = JSON.stringify([given, waiting]);
  if (all === supportDrawn) return;
  supportDrawn = all;
  await settle(() => drawSupport(given, waiting));
});

function drawSupport(given, waiting) {
  $("support").hidden = given.length + waiting.length === 0;
  $("support-list").replaceChildren(
    ...waiting.map((a) => el("li", {}, el("p", {}, t("support.asks", { agent: a.agent }), " ", el("a", { class: "ref", href: `/incident/${a.reference}`, dir: "ltr" }, a.reference)),
      el("p", { class: "go" }, button("support.approve", "", async () => { await on(entry, "/v1/approvals/approve", { reference: a.reference }); await support(); })))),
    ...given.map((a) => el("li", {}, el("p", {}, t("support.sees"), " ", el("a", { class: "ref", href: `/incident/${a.reference}`, dir: "ltr" }, a.reference), " ", t("support.until", { when: when(a.expires) })),
      el("p", { class: "go" }, button("support.revoke", "danger", async () => { await on(entry, "/v1/approvals/revoke", { reference: a.reference }); await support(); })))));
}

function codes() {
  let timer;
  const live = document.querySelectorAll("#codes .live");
  $("codes-show").addEventListener("click", () => {
    if (timer) {
      clearInterval(timer);
      timer = undefined;
      hide(...live);
      $("live-code").value = "";
      $("codes-show").textContent = t("codes.show");
      return;
    }
    const tick = async () => {
      const { code, left } = await now(entry.codes);
      if ($("live-code").value !== grouped(code)) $("live-code").value = grouped(code);
      $("live-left").value = left;
      $("live-seconds").textContent = t("seconds", { n: number(Math.ceil(left)) });
    };
    tick();
    timer = setInterval(tick, 250);
    show(...live);
    $("codes-show").textContent = t("codes.hide");
  });
}

async function start() {
  entry = await account((requests) => { list(requests); latest(); }, () => rest());
  if (!entry) return;
  const recoveries = recoveriesOf(entry);
  const rest = () => Promise.all([recoveries(), support(), latest()]).catch((error) => over(error));
  codes();
  showInside(rest(), on(entry, "/v1/requests").then(({ requests }) => wanted || list(requests)).catch((error) => over(error)));
  // Who works at the desk is led there; whose proof is too old is told there.
  on(entry, "/v1/desk").then(() => show($("to-desk")), (error) => { if (error.reason === "fresh") show($("to-desk")); });
  $("explain").addEventListener("submit", (e) => {
    e.preventDefault();
    const typed = $("reference").value.toUpperCase().replace(/[\s-]/g, "").replace(/[IL]/g, "1").replace(/O/g, "0");
    if (/^[0-9A-HJKMNP-TV-Z]{8}$/.test(typed)) location.assign(`/incident/${typed.slice(0, 4)}-${typed.slice(4)}`);
    else $("reference-hint").textContent = t("reference.form");
  });
}

start();
