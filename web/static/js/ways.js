// The ways back in: recovery codes, addresses, passkeys. And the way out:
// export, closing.
import { $, ask, el, hide, lead, name, say, show } from "./dom.js";
import { addresses, startAddresses } from "./addresses.js";
import { fresh, grant } from "./fresh.js";
import { drop } from "./kept.js";
import { account, over, shown } from "./account.js";
import { able, server } from "./page.js";
import { create } from "./passkeys.js";
import { warm } from "./password.js";
import { press, sent } from "./press.js";
import { inTurn, refill, settle } from "./settle.js";
import { at, number, t, when } from "./words.js";
import { on } from "./wire.js";

const FEW = 3; // recovery codes
const COPY = $("codes-copy").textContent;

let entry;

async function count() {
  const { left, made } = await on(entry, "/v1/recovery/codes/count");
  drawCount(left, made);
  return left;
}

function drawCount(left, made) {
  $("codes-left").textContent = made ? t("codes.left", { n: number(left), when: when(made) }) + (left <= FEW ? ` ${t("codes.few")}` : "") : t("codes.none");
  $("codes-left").classList.toggle("warn", Boolean(made) && left <= FEW);
  $("codes-make").textContent = t(made ? "codes.make-new" : "codes.make");
}

async function makeCodes() {
  if (await count() > 0 && !await ask(t("codes.ask"), t("codes.ask.what"), t("codes.make-new"))) return;
  const made = await fresh(entry, "/v1/recovery/codes");
  if (!made) return;
  $("codes").replaceChildren(...made.codes.map((c) => el("li", {}, c)));
  $("codes-of").replaceChildren(name(entry.account), " · ", el("span", { dir: "ltr" }, server), " · ", at(Date.now() / 1000));
  $("codes-copy").textContent = COPY;
  drawCount(made.codes.length, Date.now() / 1000);
  show($("codes-made"));
  lead($("codes-made"));
}

function startCodes() {
  press($("codes-make"), makeCodes);
  $("print").addEventListener("click", () => window.print());
  press($("codes-copy"), async () => {
    await navigator.clipboard.writeText([...$("codes").children].map((e) => e.textContent).join("\n"));
    $("codes-copy").textContent = t("copied");
  });
  $("codes-kept").addEventListener("click", () => {
    hide($("codes-made"));
    $("codes").replaceChildren();
    $("codes-make").focus();
  });
}

function passkey(p) {
  const remove = el("button", { type: "button", class: "danger quiet", "aria-label": t("device.remove.which", { name: p.name }) }, t("device.remove"));
  press(remove, async () => {
    if (!await ask(t("device.remove.ask", { name: p.name }), t("passkey.remove.what"), t("device.remove"))) return;
    await on(entry, "/v1/passkeys/remove", { id: p.id });
    await passkeys();
    lead($("passkeys-title"));
  });
  return el("li", { class: "device", "data-id": p.id }, el("div", {}, el("p", {}, el("strong", {}, name(p.name))),
    el("p", { class: "dim" }, p.added_on ? t("passkey.added-on", { when: when(p.added), device: p.added_on }) : t("passkey.added", { when: when(p.added) }), p.last_used ? ` · ${t("device.seen", { when: when(p.last_used) })}` : "")), remove);
}

const passkeys = inTurn(async () => {
  const { passkeys: all, possible, most } = await on(entry, "/v1/passkeys");
  await settle(() => {
    refill($("passkeys"), all.map(passkey));
    $("passkeys-impossible").hidden = possible && able;
    $("add-passkey").hidden = !possible || !able || all.length >= most;
  });
});

async function addPasskey(called) {
  const begun = await fresh(entry, "/v1/passkeys/add/start");
  if (!begun) return;
  const added = await on(entry, "/v1/passkeys/add/finish", { state: begun.state, credential: await create(begun.options), name: called || entry.name });
  await passkeys();
  $("passkey-name").value = entry.name;
  say(t("passkey.is-added", { name: added.name }));
}

async function save() {
  const all = await on(entry, "/v1/export");
  const address = URL.createObjectURL(new Blob([JSON.stringify(all, null, 2)], { type: "application/json" }));
  const file = `readmit-${entry.account.replace(/[^\w.@-]/g, "_")}-${new Date().toISOString().slice(0, 10)}.json`;
  el("a", { href: address, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  $("exported").replaceChildren(t("exported"), " ", el("code", { dir: "ltr" }, file));
}

const folded = (s) => s.trim().normalize("NFC").toLowerCase();

async function close() {
  $("closing-account").textContent = entry.account;
  const proved = await grant(entry, "close", $("closing"), (form) => (folded(form.word.value) === folded(t("close.word")) ? "" : "close.word-wanted"));
  if (!proved) return;
  await on(entry, "/v1/account/close", { grant: proved });
  await drop(entry.account);
  sessionStorage.setItem("readmit-told", "close.done");
  location.assign("/");
}

async function start() {
  const all = () => Promise.all([count(), addresses(), passkeys()]);
  entry = await account(undefined, () => all().catch((error) => over(error)));
  if (!entry) return;
  $("passkey-name").value = entry.name;
  startCodes();
  sent($("add-passkey"), $("passkey-name"), addPasskey);
  press($("export"), save);
  press($("close"), close);
  await shown(Promise.all([count(), startAddresses(entry), passkeys()]).catch((error) => over(error)));
  setTimeout(warm, 50);
}

start();
