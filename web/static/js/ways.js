// The ways back in: recovery codes, addresses, passkeys. And the way out:
// export, closing.
import { $, ask, busy, el, hide, name, show } from "./dom.js";
import { fresh, grant } from "./fresh.js";
import { drop } from "./kept.js";
import { account, over, problem } from "./page.js";
import { Stopped, able, create } from "./passkeys.js";
import { warm } from "./password.js";
import { has, number, t, when } from "./words.js";
import { Problem, Refused, Unreachable, on } from "./wire.js";

let entry;

// told says what went wrong beside what was tried: a refusal of one code or
// password ends no session.
function told(error) {
  if (error instanceof Stopped) return;
  const box = $("trouble");
  if (error instanceof Refused) box.replaceChildren(t("ways.refused"), " ", el("a", { href: `/incident/${error.reference}` }, error.reference));
  else box.textContent = problem(error);
  if (!(error instanceof Refused || error instanceof Problem || error instanceof Unreachable)) console.error(error);
  show(box);
  box.scrollIntoView({ block: "center" });
}

const press = (button, work) => button.addEventListener("click", () => busy(button, async () => {
  hide($("trouble"));
  try {
    await work();
  } catch (error) {
    told(error);
  }
}));

async function count() {
  const { left, made } = await on(entry, "/v1/recovery/codes/count");
  $("codes-left").textContent = made ? t("codes.left", { n: number(left), when: when(made) }) : t("codes.none");
}

async function makeCodes() {
  const made = await fresh(entry, "/v1/recovery/codes");
  if (!made) return;
  $("codes").replaceChildren(...made.codes.map((c) => el("li", {}, c)));
  show($("codes-made"), $("print"));
  $("codes-made").focus();
  await count();
}

function address(a) {
  const remove = el("button", { type: "button", class: "danger quiet", "aria-label": t("device.remove.which", { name: a.value }) }, t("device.remove"));
  press(remove, async () => {
    await on(entry, "/v1/addresses/remove", { id: a.id });
    await addresses();
  });
  const row = el("li", {}, el("div", { class: "device" }, el("div", {}, el("p", {}, el("strong", { dir: "ltr" }, name(a.value))),
    el("p", { class: "dim" }, a.verified ? t("address.verified", { when: when(a.verified) }) : t("address.unverified")),
    a.failed ? el("p", { class: "warn" }, t("address.failed", { why: has(`value.${a.why}`) ? t(`value.${a.why}`) : a.why })) : null), remove));
  if (a.verified) return row;
  const id = `code-${a.id}`;
  const form = el("form", { method: "post" }, el("div", { class: "field" }, el("label", { for: id }, t("address.code")), el("input", { id, name: "code", class: "mono", inputmode: "numeric", autocomplete: "one-time-code", dir: "ltr" })),
    el("p", { class: "go" }, el("button", { type: "submit" }, t("address.verify")), el("button", { type: "button", class: "quiet" }, t("address.again"))));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    busy(form.querySelector("[type=submit]"), async () => {
      hide($("trouble"));
      try {
        await on(entry, "/v1/addresses/verify", { id: a.id, code: form.code.value.replace(/[ -]/g, "") });
        await addresses();
      } catch (error) {
        told(error);
      }
    });
  });
  press(form.querySelector("[type=button]"), async () => { await on(entry, "/v1/addresses/add", { kind: a.kind, value: a.value, language: a.language }); });
  row.append(form);
  return row;
}

async function addresses() {
  const { addresses: all, kinds } = await on(entry, "/v1/addresses");
  $("addresses").replaceChildren(...all.map(address));
  $("add-address").hidden = kinds.length === 0;
}

function passkey(p) {
  const remove = el("button", { type: "button", class: "danger quiet", "aria-label": t("device.remove.which", { name: p.name }) }, t("device.remove"));
  press(remove, async () => {
    if (!await ask(t("device.remove.ask", { name: p.name }), t("passkey.remove.what"), t("device.remove"))) return;
    await on(entry, "/v1/passkeys/remove", { id: p.id });
    await passkeys();
  });
  return el("li", { class: "device" }, el("div", {}, el("p", {}, el("strong", {}, name(p.name))),
    el("p", { class: "dim" }, t("passkey.added", { when: when(p.added) }), p.last_used ? ` · ${t("device.seen", { when: when(p.last_used) })}` : "")), remove);
}

async function passkeys() {
  const { passkeys: all, possible, most } = await on(entry, "/v1/passkeys");
  $("passkeys").replaceChildren(...all.map(passkey));
  $("passkeys-impossible").hidden = possible && able;
  $("passkey-add").hidden = !possible || !able || all.length >= most;
}

async function addPasskey() {
  const begun = await fresh(entry, "/v1/passkeys/add/start");
  if (!begun) return;
  await on(entry, "/v1/passkeys/add/finish", { state: begun.state, credential: await create(begun.options), name: entry.name });
  await passkeys();
}

async function save() {
  const all = await on(entry, "/v1/export");
  const address = URL.createObjectURL(new Blob([JSON.stringify(all, null, 2)], { type: "application/json" }));
  el("a", { href: address, download: "readmit-account.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

async function close() {
  if (!await ask(t("close.ask"), t("close.ask.what", { account: entry.account }), t("close.do"))) return;
  const proved = await grant(entry, "close");
  if (!proved) return;
  await on(entry, "/v1/account/close", { grant: proved });
  await drop(entry.account);
  location.assign("/");
}

async function start() {
  entry = await account();
  if (!entry) return;
  press($("codes-make"), async () => {
    const { left } = await on(entry, "/v1/recovery/codes/count");
    if (left === 0 || await ask(t("codes.ask"), t("codes.ask.what"), t("codes.make"))) await makeCodes();
  });
  $("print").addEventListener("click", () => window.print());
  $("add-address").addEventListener("submit", (e) => {
    e.preventDefault();
    const value = e.target.value.value.trim();
    busy(e.target.querySelector("[type=submit]"), async () => {
      hide($("trouble"));
      try {
        await on(entry, "/v1/addresses/add", { kind: value.includes("@") ? "email" : "phone", value, language: document.documentElement.lang });
        e.target.value.value = "";
        await addresses();
      } catch (error) {
        told(error);
      }
    });
  });
  press($("passkey-add"), addPasskey);
  press($("export"), save);
  press($("close"), close);
  await Promise.all([count(), addresses(), passkeys()]);
  setTimeout(warm, 50);
}

start().catch((error) => over(error));
