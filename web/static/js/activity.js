// Everything that was tried and done, who looked, and what could not be
// delivered.
import { $, busy, el, lead, name } from "./dom.js";
import { isLook, isRefused, isSupport, line } from "./ledger.js";
import { account, over, shown } from "./account.js";
import { at, has, t, when } from "./words.js";
import { on } from "./wire.js";

const isFailed = (a) => a.undelivered !== undefined;
const wanted = {
  all: () => true, failed: isFailed, refused: (a) => !isFailed(a) && isRefused(a), looks: (a) => !isFailed(a) && isLook(a),
  support: (a) => !isFailed(a) && isSupport(a),
};

// row is a line with what can be asked and said of it.
function row(entry, a) {
  const li = el("li", {}, ...line(a));
  if (isLook(a) || !a.reference) return li;
  const p = el("p", { class: "go" }, el("a", { href: `/incident/${a.reference}` }, t("activity.why")), " ");
  const said = () => el("span", { class: "state good", tabindex: "-1" }, t("you.said", { when: when(a.mine) }));
  if (a.mine) {
    p.append(said());
  } else {
    const mine = el("button", { type: "button", class: "link" }, t("activity.mine"));
    const not = el("a", { href: "/account/security#not-me" }, t("activity.not-me"));
    mine.addEventListener("click", () => busy(mine, async () => {
      try {
        await on(entry, "/v1/activity/mine", { reference: a.reference });
        a.mine = Date.now() / 1000;
        const told = said();
        mine.replaceWith(told);
        not.remove();
        lead(told);
      } catch (error) {
        over(error);
      }
    }));
    p.append(mine, " ", not);
  }
  li.append(p);
  return li;
}

// undelivered is a message that did not arrive.
function undelivered(a) {
  const why = has(`value.${a.why}`) ? t(`value.${a.why}`) : a.why;
  return el("li", {}, el("p", {}, el("strong", {}, t("activity.undelivered")), " ", el("span", { class: "state refused" }, why)),
    el("p", { class: "dim" }, name(a.undelivered), " · ", el("time", { datetime: new Date(a.at * 1000).toISOString(), title: at(a.at) }, when(a.at))),
    el("p", { class: "go" }, el("a", { href: "/account/ways" }, t("activity.addresses"))));
}

async function start() {
  const entry = await account();
  if (!entry) return;
  await shown(fill(entry).catch((error) => over(error)));
}

async function fill(entry) {
  const [{ activity }, { addresses }] = await Promise.all([on(entry, "/v1/activity"), on(entry, "/v1/addresses")]);
  const failed = addresses.filter((a) => a.failed).map((a) => ({ at: a.failed, undelivered: a.value, why: a.why }));
  const all = [...activity, ...failed].sort((a, b) => b.at - a.at);
  const draw = () => {
    const only = document.querySelector('input[name="only"]:checked').value;
    const some = all.filter(wanted[only]);
    $("activity").replaceChildren(...some.map((a) => (isFailed(a) ? undelivered(a) : row(entry, a))));
    $("activity-none").hidden = some.length > 0;
  };
  for (const choice of document.querySelectorAll('input[name="only"]')) choice.addEventListener("change", draw);
  draw();
}

start();
