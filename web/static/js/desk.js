// The support desk: nothing of an account is seen before its owner has
// approved that incident, and nothing stays on view once a call says that it
// may be seen no longer.
import { $, ask, busy, el, go, hide, name, show } from "./dom.js";
import { account, over, shown } from "./account.js";
import { Refused, problem } from "./page.js";
import { asReference, fact, remedy, title } from "./report.js";
import { at, named, t, when } from "./words.js";
import { on } from "./wire.js";

const kinds = ["start-recovery", "end-sessions", "unlock", "remove-factors"];

let entry;
let seen = { identifier: "", reference: null }; // what is on view
let expiry;

// clear takes everything of an account off the page, not only out of sight.
function clear() {
  clearTimeout(expiry);
  hide($("found"), $("unapproved"), $("approved"), $("waiting"), $("done"), $("again"));
  for (const id of ["found-title", "found-told", "found-list", "asked-owner", "approved-of", "approved-reference", "told-title", "approved-by", "evidence", "remedies", "acts", "done", "waiting-list"]) $(id).replaceChildren();
}

async function tried(work) {
  hide($("trouble"));
  try {
    await work();
  } catch (error) {
    clear();
    if (error instanceof Refused) return over(error);
    $("trouble").textContent = problem(error);
    show($("trouble"));
    $("again").hidden = error.reason !== "fresh";
    if (document.activeElement?.closest("#find") == null) $("trouble").focus(); // what was pressed is gone
    if (error.reason === "not-approved") show($("unapproved"));
    if (error.reason === "no-agent") hide($("find"));
  }
}

function finished(done) {
  const said = done.word ? [t("desk.word"), " ", el("strong", { class: "mono", dir: "ltr" }, done.word)] : [t(done.done ? "desk.done" : "desk.second")];
  $("done").replaceChildren(...said);
  show($("done"));
  $("done").focus({ preventScroll: true });
  $("done").scrollIntoView({ block: "center" });
}

// act is one thing that can be done, said before it is.
function act(of, kind) {
  const button = el("button", { type: "button", class: kind === "remove-factors" ? "danger" : "", "data-act": kind }, t(`desk.${kind}`));
  button.addEventListener("click", async () => {
    hide($("done"));
    if (await ask(t(`desk.${kind}`), t("desk.sure", { account: of.identifier, what: t(`desk.${kind}.what`) }), t(`desk.${kind}`))) {
      await busy(button, () => tried(async () => {
        const done = await on(entry, "/v1/desk/act", { ...of, kind });
        if (!done.done) await waiting(of.identifier);
        finished(done);
      }));
    }
  });
  return el("li", { class: "device" }, el("p", {}, t(`desk.${kind}.what`)), button);
}

async function see(of, approval) {
  const report = await on(entry, "/v1/desk/explain", of);
  const [first] = report.findings;
  $("approved-of").textContent = of.identifier;
  $("approved-reference").textContent = of.reference;
  $("approved-by").textContent = t("desk.approved", { by: named(approval.by), until: at(approval.expires) });
  $("told-title").textContent = title(first);
  $("evidence").replaceChildren(...first.evidence.map(fact));
  $("remedies").replaceChildren(...first.remedies.map((_, i) => remedy(first, i, { reference: of.reference, account: of.identifier, linked: false })));
  $("acts").replaceChildren(...kinds.map((kind) => act(of, kind)));
  expiry = setTimeout(clear, Math.max(0, approval.expires * 1000 - Date.now()));
  go($("approved"));
}

// waiting lists what waits for a second agent, and returns what is known.
async function waiting(identifier) {
  const known = await on(entry, "/v1/desk/account", { identifier });
  $("waiting-list").replaceChildren(...known.waiting.map((w) => {
    const agree = el("button", { type: "button", class: "danger", "data-agree": w.kind }, t("desk.agree"));
    agree.addEventListener("click", async () => {
      if (!await ask(t(`desk.${w.kind}`), t("desk.agree.what", { agent: w.asked_by, account: known.account, what: t(`desk.${w.kind}.told`) }), t("desk.agree"))) return;
      await busy(agree, () => tried(async () => {
        const done = await on(entry, "/v1/desk/agree", { id: w.act });
        await waiting(identifier);
        finished(done);
      }));
    });
    return el("li", {}, el("p", {}, el("strong", {}, t(`desk.${w.kind}`)), " ", el("span", { class: "tag", dir: "ltr" }, w.reference)),
      el("p", { class: "dim" }, t("desk.asked-by", { agent: w.asked_by, when: when(w.asked), until: at(w.expires) })),
      w.own ? el("p", {}, t("desk.own")) : el("p", { class: "go" }, agree));
  }));
  $("waiting").hidden = known.waiting.length === 0;
  return known;
}

// find shows what an agent may know of an account.
async function find(of) {
  clear();
  seen = of;
  const known = await waiting(of.identifier);
  const approval = known.approved.find((a) => a.reference === of.reference && !a.revoked);
  if (approval) return see(of, approval);
  $("unapproved").hidden = !of.reference;
  $("found-title").replaceChildren(name(known.account));
  $("found-told").textContent = t(known.approved.length > 0 ? "desk.found.approved" : "desk.found.none");
  $("found-list").replaceChildren(...known.approved.map((a) => {
    const button = el("button", { type: "button", class: "mono", dir: "ltr" }, a.reference);
    button.addEventListener("click", () => { $("reference").value = a.reference; $("find").requestSubmit(); });
    return button;
  }));
  go($("found"));
}

async function start() {
  entry = await account();
  if (!entry) return;
  const form = $("find");
  $("again-signin").addEventListener("click", () => sessionStorage.setItem("readmit-after", "/desk"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    const identifier = form.identifier.value.trim();
    const typed = form.reference.value.trim();
    const reference = typed ? asReference(typed) : null;
    $("reference-hint").textContent = typed && !reference ? t("reference.form") : "";
    if (!identifier) form.identifier.focus();
    else if (typed && !reference) form.reference.focus();
    else busy(form.querySelector("[type=submit]"), () => tried(() => find({ identifier, reference })));
  });
  $("ask-owner").addEventListener("click", () => busy($("ask-owner"), () => tried(async () => {
    await on(entry, "/v1/desk/ask", seen);
    $("asked-owner").textContent = t("desk.asked");
  })));
  await shown(tried(() => on(entry, "/v1/desk")));
}

start();
