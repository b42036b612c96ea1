// Recoveries that others have begun, or this person elsewhere: each can be
// stopped as long as it runs, and approved once.
import { $, busy, el, lead, name, say, show } from "./dom.js";
import { countdown } from "./countdown.js";
import { RUNNING, over } from "./account.js";
import { Problem, problem } from "./page.js";
import { inTurn, settle } from "./settle.js";
import { named, software, t, when } from "./words.js";
import { on } from "./wire.js";

const rows = new Map();

function button(key, kind, box, work) {
  const b = el("button", { type: "button", class: kind }, t(key));
  b.addEventListener("click", () => busy(b, async () => {
    try {
      await work();
    } catch (error) {
      if (error instanceof Problem) box.replaceChildren(el("p", {}, problem(error)));
      else over(error);
    }
  }));
  return b;
}

function stopped(r) {
  $("recoveries-told").replaceChildren(t("recoveries.stopped", { name: named(r.name) }), " ", el("a", { href: "/account/security#not-me" }, t("request.denied.next")));
  show($("recoveries-told"));
  lead($("recoveries-told"));
}

function newRow(entry, list, r) {
  let end, approved;
  const box = el("div", { class: "answer" });
  const opens = el("span", {});
  const approve = button("recoveries.approve", "", box, async () => {
    approve.remove();
    end = countdown(entry, "/v1/recoveries/approve", r, box, (code) => code, list);
  });
  const stop = button("recoveries.stop", "danger", box, async () => {
    await on(entry, "/v1/recoveries/cancel", { id: r.id });
    stopped(r);
    await list();
  });
  const li = el("li", { class: "request", id: `recovery-${r.id}` },
    el("p", {}, el("strong", {}, name(named(r.name))), " ", t(r.this ? "recoveries.this" : r.support ? "recoveries.support" : "recoveries.begun"), " ", el("span", { class: "tag", dir: "ltr" }, r.id)),
    el("p", { class: "dim" }, t("request.where", { address: r.address, client: software(r.client), when: when(r.opened) }), opens),
    box, el("p", { class: "go" }, stop, approve));
  return { li, end: () => end?.(), draw(now) {
    opens.textContent = now.state === "open" ? ` · ${t("recoveries.open")}` : now.opens ? ` · ${t("recoveries.opens", { when: when(now.opens) })}` : "";
    if (approved || !now.proofs.includes("device")) return;
    approved = true;
    end?.();
    approve.remove();
    box.replaceChildren(el("p", { class: "outcome" }, t("recoveries.approved")));
  } };
}

// recoveriesOf lists an account's as they are now, as often as it is called.
export function recoveriesOf(entry) {
  const list = inTurn(async () => {
    const { recoveries: all } = await on(entry, "/v1/recoveries");
    await settle(() => draw(entry, list, all.filter((r) => RUNNING.includes(r.state))));
  });
  return list;
}

function draw(entry, list, running) {
  for (const r of running.toReversed()) { // the newest goes to the top
    if (!rows.has(r.id)) {
      rows.set(r.id, newRow(entry, list, r));
      $("recoveries-list").prepend(rows.get(r.id).li);
      say(t("recoveries.new", { name: named(r.name) }));
    }
    rows.get(r.id).draw(r);
  }
  for (const [id, row] of rows) {
    if (running.some((r) => r.id === id)) continue;
    row.end();
    row.li.remove();
    rows.delete(id);
  }
  $("recoveries").hidden = rows.size === 0;
}
