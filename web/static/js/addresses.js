// Where an account's messages go: a second e-mail, a trusted phone number. A
// row stays the same element, so that nobody is interrupted in what they type.
import { $, ask, el, lead, name, say } from "./dom.js";
import { press, sent } from "./press.js";
import { inTurn, settle } from "./settle.js";
import { has, t, until, when } from "./words.js";
import { on } from "./wire.js";

const LOOK = 3000; // milliseconds between looks for whether a code could be delivered
const rows = new Map();
let entry, looking;

function codeForm(a) {
  const id = `code-${a.id}`;
  const field = el("input", { id, name: "code", class: "mono", type: "text", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 9, dir: "ltr", required: true });
  const again = el("button", { type: "button", class: "quiet again" }, t("address.again"));
  const none = el("button", { type: "button", class: "quiet none" }, t("address.none"));
  const form = el("form", { method: "post", novalidate: true }, el("div", { class: "field" }, el("label", { for: id }, t("address.code")), field),
    el("p", { class: "go" }, el("button", { type: "submit" }, t("address.verify")), again, none));
  const give = (code) => on(entry, "/v1/addresses/verify", { id: a.id, code });
  sent(form, field, async (typed) => {
    await give(typed.replace(/[\s-]/g, ""));
    await addresses();
    say(t("address.is-verified", { address: a.value }));
    lead($("addresses-title"));
  });
  press(again, async () => {
    await on(entry, "/v1/addresses/add", { kind: a.kind, value: a.value, language: a.language });
    await addresses();
    say(t("address.sent", { address: a.value }));
    lead(field);
  });
  press(none, () => give("")); // its refusal leads to the reason
  return form;
}

function status(a) {
  if (a.verified) return t("address.verified", { when: when(a.verified) });
  if (a.failed) return t("address.unverified-yet");
  return a.code_until > Date.now() / 1000 ? t("address.unverified", { time: until(a.code_until) }) : t("address.code-over");
}

function newRow(a) {
  const remove = el("button", { type: "button", class: "danger quiet", "aria-label": t("device.remove.which", { name: a.value }) }, t("device.remove"));
  press(remove, async () => {
    if (a.verified && !await ask(t("device.remove.ask", { name: a.value }), t("address.remove.what"), t("device.remove"))) return;
    await on(entry, "/v1/addresses/remove", { id: a.id });
    await addresses();
    lead($("addresses-title"));
  });
  const about = el("p", { class: "dim" });
  const failed = el("p", { class: "warn", hidden: true });
  const li = el("li", {}, el("div", { class: "device" }, el("div", {}, el("p", {}, el("strong", { dir: "ltr" }, name(a.value))), about), remove), failed);
  let form;
  return { li, draw(now) {
    a = now;
    about.textContent = status(a);
    const why = a.failed ? t("address.failed", { why: has(`delivery.${a.why}`) ? t(`delivery.${a.why}`) : a.why, when: when(a.failed) }) : "";
    if (why && failed.hidden) say(`${a.value}: ${why}`);
    failed.textContent = why;
    failed.hidden = !why;
    if (a.verified) form?.remove();
    else if (!form) li.append(form = codeForm(a));
  } };
}

// addresses lists them as they are now; while a code is on its way it looks
// again, so that one that cannot be delivered is told by itself.
export const addresses = inTurn(async () => {
  clearTimeout(looking);
  const { addresses: all, kinds } = await on(entry, "/v1/addresses");
  await settle(() => draw(all, kinds));
  if (all.some((a) => !a.verified && !a.failed && a.code_until > Date.now() / 1000)) looking = setTimeout(look, LOOK);
});

function draw(all, kinds) {
  for (const a of all) {
    if (!rows.has(a.id)) {
      rows.set(a.id, newRow(a));
      $("addresses").append(rows.get(a.id).li);
    }
    rows.get(a.id).draw(a);
  }
  for (const [id, row] of rows) {
    if (all.some((a) => a.id === id)) continue;
    row.li.remove();
    rows.delete(id);
  }
  for (const kind of ["email", "phone"]) {
    $(`add-${kind}`).hidden = !kinds.includes(kind);
    $(`${kind}-never`).hidden = kinds.includes(kind);
  }
}

function look() {
  if (document.hidden) looking = setTimeout(look, LOOK);
  else addresses().catch(() => { looking = setTimeout(look, LOOK); }); // what ended the session says so elsewhere
}

export function startAddresses(of) {
  entry = of;
  for (const kind of ["email", "phone"]) {
    sent($(`add-${kind}`), $(kind), async (value) => {
      const added = await on(entry, "/v1/addresses/add", { kind, value, language: document.documentElement.lang });
      $(kind).value = "";
      await addresses();
      say(t("address.sent", { address: added.value }));
      const code = $(`code-${added.id}`);
      if (code) lead(code);
    });
  }
  return addresses();
}
