// An incident: the cause, its evidence, and what ends it, as far as this
// browser may know.
import { $, el, go, hide, show } from "./dom.js";
import { accounts, choose, current, refusal } from "./kept.js";
import { owner } from "./owner.js";
import { Problem, problem, usable } from "./page.js";
import { fact, remedy, title } from "./report.js";
import { refill, settle } from "./settle.js";
import { t } from "./words.js";
import { call, hello, on } from "./wire.js";
import { newKey } from "./device.js";

const reference = decodeURIComponent(location.pathname.split("/").pop()).toUpperCase();

function tell(report, entry) {
  const [first, ...rest] = report.findings;
  $("told-title").textContent = title(first);
  $("told-to").textContent = t(`told.${report.audience}`, { account: entry?.account ?? "" });
  refill($("evidence"), first.evidence.map(fact));
  $("evidence-part").hidden = first.evidence.length === 0;
  refill($("remedies"), first.remedies.map((_, i) => remedy(first, i, { reference, account: entry?.account, linked: true, owner: report.audience === "owner" })));
  refill($("others"), rest.map((f) => el("li", {}, el("a", { href: `/help/${f.cause}` }, title(f)))));
  $("rest").hidden = rest.length === 0;
  $("told-page").href = `/help/${first.cause}`;
  $("you").hidden = report.audience !== "owner";
  document.title = `${title(first)} · Readmit`;
}

// wentOn is told of an attempt that was no refusal after all.
function wentOn() {
  $("told-title").textContent = t("not-refused");
  $("told-to").textContent = t("not-refused.what");
  hide($("evidence-part"), $("remedies-part"), $("rest"), $("support"));
  show($("you"));
  $("told-page").href = "/account/activity";
  $("told-page").textContent = t("not-refused.look");
  document.title = `${t("not-refused")} · Readmit`;
}

function untold(why) {
  $("untold-why").textContent = why;
  $("untold-reference").textContent = reference;
  $("untold-support").href = `/recover#support=${encodeURIComponent(reference)}`;
  $("untold-signin").addEventListener("click", () => sessionStorage.setItem("readmit-after", location.pathname));
  go($("untold"));
}

// seen is what this browser knows by itself: its clock, and whether another
// identifier was typed than the one it is enrolled for.
async function seen(entry, mine) {
  const facts = [];
  const off = Math.round((Date.now() - (await hello()).time) / 1000);
  if (Math.abs(off) > 300) facts.push({ check: "clock", want: "0s", got: goDuration(off), seen: "device" });
  if (entry && mine?.account && mine.account !== entry.account && mine.account.includes("@")) {
    facts.push({ check: "identifier", want: entry.account, got: mine.account, seen: "device" });
  }
  return facts;
}

function goDuration(seconds) {
  const s = Math.abs(seconds);
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return `${seconds < 0 ? "-" : ""}${h ? `${h}h` : ""}${h || m ? `${m}m` : ""}${s % 60}s`;
}

async function start() {
  $("incident-reference").textContent = reference;
  if (!usable()) return hide($("asking"));
  const mine = await refusal(reference);
  // The account that is on view first, then the others that are enrolled here.
  const first = await current();
  const others = (await accounts()).filter((a) => a.account !== first?.account);
  const asked = [first, ...others].filter(Boolean);
  let best;
  try {
    for (const entry of asked.length ? asked : [null]) {
      if (!mine && !entry?.session) continue;
      const ask = { evidence: await seen(entry, mine) };
      if (mine) ask.incident = mine.incident; else ask.reference = reference;
      if (entry?.session) ask.session = entry.session;
      let report;
      try {
        report = await call(entry?.keys ?? await newKey(), "/v1/explain", ask, { account: entry?.account ?? "", what: "explain" });
      } catch (error) {
        if (error instanceof Problem && error.reason === "no-incident") continue; // not of this account
        throw error;
      }
      const ranks = ["anyone", "holder", "owner"];
      if (!best || ranks.indexOf(report.audience) > ranks.indexOf(best.report.audience)) best = { report, entry };
      if (report.audience === "owner") break;
    }
  } catch (error) {
    hide($("asking"));
    return untold(problem(error));
  }
  hide($("asking"));
  if (!best) return untold(t(asked.some((a) => a.session) ? "untold.other" : "untold.out"));
  if (best.report.audience === "anyone" && best.report.findings[0].cause === "refused") return untold(t("untold.stranger"));
  tell(best.report, best.entry);
  go($("told"));
  if (best.report.audience !== "owner") return;
  choose(best.entry);
  const open = best.report.findings[0].evidence.some((f) => f.got === "not-finished");
  owner(best.entry, reference, open, async () => {
    try {
      const report = await on(best.entry, "/v1/explain", { reference });
      await settle(() => tell(report, best.entry));
    } catch (error) {
      if (error.reason !== "not-refused") throw error;
      await settle(wentOn);
    }
  });
}

start();
