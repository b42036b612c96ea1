// What an owner says of an incident, whether the desk may see it, and what
// becomes of it while the page is open.
import { $, busy, go, hide, lead, show } from "./dom.js";
import { listen } from "./events.js";
import { Refused, problem } from "./page.js";
import { refused } from "./refused.js";
import { inTurn, settle } from "./settle.js";
import { on } from "./wire.js";
import { at, t, when } from "./words.js";

let entry, reference;
let presses = 0; // how often something was said or decided here

// line is the incident's in the ledger: nothing but a look at it is noted by asking.
async function line() {
  const { activity } = await on(entry, "/v1/activity");
  return activity.find((a) => a.reference === reference);
}

function drawMine(said) {
  $("you-yes").hidden = Boolean(said);
  $("you-told").textContent = said ? t("you.said", { when: when(said) }) : "";
}

async function mine() {
  await on(entry, "/v1/activity/mine", { reference });
  presses++;
  drawMine(Date.now() / 1000);
  $("you-told").textContent += ` ${t("you.yes.told")}`;
  lead($("you-told"));
}

async function approval() {
  const { approvals, asked } = await on(entry, "/v1/approvals");
  const given = approvals.find((a) => a.reference === reference && !a.revoked && a.expires > Date.now() / 1000);
  const asks = asked.find((a) => a.reference === reference && a.kind === "ask");
  return [Boolean(given), given ? t("support.now", { until: at(given.expires) }) : asks ? t("support.asks.this", { agent: asks.agent }) : ""];
}

function drawApproval([given, told]) {
  $("support-may").hidden = given;
  $("support-revoke").hidden = !given;
  if ($("support-told").textContent !== told) $("support-told").textContent = told;
  show($("support"));
}

function press(button, where, work) {
  button.addEventListener("click", () => busy(button, async () => {
    try {
      await work();
    } catch (error) {
      $(where).textContent = problem(error);
    }
  }));
}

function support(button, path, after) {
  press(button, "support-told", async () => {
    await on(entry, path, { reference });
    presses++;
    drawApproval(await approval());
    $("support-told").textContent += after;
    lead($("support-told"));
  });
}

// follow keeps the page as things are. told is called when what the ledger
// says of the incident has changed.
async function follow(last, told) {
  const known = (l) => JSON.stringify([l?.outcome, l?.cause]);
  const look = inTurn(async () => {
    const before = presses;
    const [now, may] = await Promise.all([line(), approval()]);
    await settle(() => {
      if (presses !== before) return; // its own "changed" comes yet
      drawMine(now?.mine);
      drawApproval(may);
    });
    if (known(now) !== known(last)) await told();
    last = now;
  });
  await listen(entry, async (kind) => {
    if (kind !== "changed") return kind === "ended" ? on(entry, "/v1/requests").catch(over) : undefined;
    await look().catch(over);
  });
}

// over shows what ended the session; what else goes wrong by itself, the next
// press says.
function over(error) {
  if (!(error instanceof Refused)) return;
  hide($("told"));
  go(refused(error, () => location.assign("/")));
}

// owner begins it. open: what the page shows is of an attempt that had not
// ended; it may have since, before anybody listened.
export async function owner(of, about, open, told) {
  [entry, reference] = [of, about];
  press($("you-yes"), "you-told", mine);
  support($("support-may"), "/v1/approvals/approve", "");
  support($("support-revoke"), "/v1/approvals/revoke", t("support.back"));
  try {
    const [now, may] = await Promise.all([line(), approval()]);
    drawMine(now?.mine);
    drawApproval(may);
    if (open && now?.outcome !== "unfinished") await told();
    await follow(now, told);
  } catch (error) {
    over(error); // the page has told what it is for
  }
}
