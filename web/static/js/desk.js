// The support desk: nothing of an account is seen before its owner has
// approved that incident.
import { $, ask, busy, el, hide, name, show } from "./dom.js";
import { account, over, problem } from "./page.js";
import { fact, remedy, title } from "./report.js";
import { at, t, when } from "./words.js";
import { Refused, on } from "./wire.js";

let entry;
const kinds = ["start-recovery", "end-sessions", "unlock", "remove-factors"];

async function tried(work) {
  hide($("trouble"));
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused) return over(error);
    $("trouble").textContent = problem(error);
    show($("trouble"));
  }
}

function finished(done) {
  const said = done.word ? [t("desk.word"), " ", el("strong", { class: "mono", dir: "ltr" }, done.word)] : [t(done.done ? "desk.done" : "desk.second")];
  $("done").replaceChildren(...said);
  show($("done"));
  $("done").focus();
}

async function see(of) {
  const report = await on(entry, "/v1/desk/explain", of);
  const [first] = report.findings;
  $("told-title").textContent = title(first);
  $("evidence").replaceChildren(...first.evidence.map(fact));
  $("remedies").replaceChildren(...first.remedies.map((r, i) => remedy(first.cause, r, i, { reference: of.reference, account: of.identifier, linked: false })));
  $("acts").replaceChildren(...kinds.map((kind) => {
    const b = el("button", { type: "button", class: kind === "remove-factors" ? "danger" : "" }, t(`desk.${kind}`));
    b.addEventListener("click", async () => {
      if (await ask(t(`desk.${kind}`), t(`desk.${kind}.what`), t(`desk.${kind}`))) {
        busy(b, () => tried(async () => { finished(await on(entry, "/v1/desk/act", { ...of, kind })); await waiting(of); }));
      }
    });
    return b;
  }));
  show($("approved"));
}

// waiting lists what waits for a second agent.
async function waiting(of) {
  const known = await on(entry, "/v1/desk/account", { identifier: of.identifier });
  $("waiting-list").replaceChildren(...known.waiting.map((w) => {
    const agree = w.own ? null : el("button", { type: "button", class: "danger" }, t("desk.agree"));
    agree?.addEventListener("click", () => busy(agree, () => tried(async () => { finished(await on(entry, "/v1/desk/agree", { id: w.act })); await waiting(of); })));
    return el("li", {}, el("p", {}, el("strong", {}, t(`desk.${w.kind}`)), " ", name(w.asked_by)), el("p", { class: "dim" }, when(w.asked)), agree);
  }));
  $("waiting").hidden = known.waiting.length === 0;
  return known.approved;
}

async function find(of) {
  const approval = (await waiting(of)).find((a) => a.reference === of.reference && !a.revoked);
  $("unapproved").hidden = Boolean(approval);
  hide($("approved"));
  if (!approval) return;
  $("approved-by").textContent = t("desk.approved", { by: approval.by, until: at(approval.expires) });
  await see(of);
}

async function start() {
  entry = await account();
  if (!entry) return;
  const form = $("find");
  const of = () => ({ identifier: form.identifier.value.trim(), reference: form.reference.value.trim().toUpperCase() });
  await tried(() => on(entry, "/v1/desk"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    hide($("done"));
    const empty = [form.identifier, form.reference].find((f) => f.value.trim() === "");
    if (empty) empty.focus();
    else busy(form.querySelector("[type=submit]"), () => tried(() => find(of())));
  });
  $("ask-owner").addEventListener("click", () => busy($("ask-owner"), () => tried(async () => {
    await on(entry, "/v1/desk/ask", of());
    $("asked-owner").textContent = t("desk.asked");
  })));
}

start();
