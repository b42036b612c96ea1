// The account's devices.
import { $, ask, busy, el, lead, name, show } from "./dom.js";
import { account, over, shown } from "./account.js";
import { software, t, when } from "./words.js";
import { on } from "./wire.js";

let entry;

// act is a button that is asked about before anything is done.
function act(d, key, path, kind) {
  const b = el("button", { type: "button", class: kind, "aria-label": t(`${key}.which`, { name: d.name }) }, t(key));
  b.addEventListener("click", async () => {
    if (await ask(t(`${key}.ask`, { name: d.name }), t(`${key}.what`), t(key))) busy(b, () => done(d, path));
  });
  return b;
}

function row(d) {
  const others = !d.removed && !d.this;
  return el("li", { class: "device", "data-id": d.id },
    el("div", {},
      el("p", {}, el("strong", {}, name(d.name)), " ", d.this ? el("span", { class: "state good" }, t("device.this")) : null, !d.removed && !d.signed_in ? el("span", { class: "state" }, t("device.out")) : null),
      el("p", { class: "dim" }, name(software(d.system)), " · ", d.removed ? t("device.removed", { when: when(d.removed) }) : t("device.seen", { when: when(d.last_seen) }), " · ", t("device.enrolled", { when: when(d.enrolled) }))),
    others ? el("p", { class: "go" },
      d.signed_in ? act(d, "device.end", "/v1/devices/end", "quiet") : null,
      act(d, "device.remove", "/v1/devices/remove", "danger quiet")) : null);
}

async function done(d, path) {
  try {
    await on(entry, path, { id: d.id });
    await list();
    lead($("main"));
  } catch (error) {
    over(error);
  }
}

async function list() {
  const { devices } = await on(entry, "/v1/devices");
  const gone = devices.filter((d) => d.removed);
  $("devices").replaceChildren(...devices.filter((d) => !d.removed).map(row));
  $("devices-gone").replaceChildren(...gone.map(row));
  if (gone.length) show($("gone"));
}

entry = await account();
if (entry) await shown(list().catch((error) => over(error)));
