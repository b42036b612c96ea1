// The account's devices.
import { $, ask, busy, el, lead, name, show } from "./dom.js";
import { account, over, shown } from "./account.js";
import { software, t, when } from "./words.js";
import { on } from "./wire.js";

let entry;

function row(d) {
  const remove = d.removed || d.this ? null : el("button", { type: "button", class: "danger quiet", "aria-label": t("device.remove.which", { name: d.name }) }, t("device.remove"));
  remove?.addEventListener("click", async () => {
    if (await ask(t("device.remove.ask", { name: d.name }), t("device.remove.what"), t("device.remove"))) busy(remove, () => take(d));
  });
  return el("li", { class: "device" },
    el("div", {},
      el("p", {}, el("strong", {}, name(d.name)), " ", d.this ? el("span", { class: "state good" }, t("device.this")) : null, !d.removed && !d.signed_in ? el("span", { class: "state" }, t("device.out")) : null),
      el("p", { class: "dim" }, name(software(d.system)), " · ", d.removed ? t("device.removed", { when: when(d.removed) }) : t("device.seen", { when: when(d.last_seen) }), " · ", t("device.enrolled", { when: when(d.enrolled) }))),
    remove);
}

async function take(d) {
  try {
    await on(entry, "/v1/devices/remove", { id: d.id });
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
