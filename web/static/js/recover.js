// A forgotten password, or identifier. What one sees before anything is proved
// is the same for every account, and for none.
import { $, busy, go, hide, show } from "./dom.js";
import { newKey, ownName, self } from "./device.js";
import { hints } from "./hints.js";
import { inside, keepSignedIn } from "./home.js";
import { account, cases, dropCase, keepCase, normal } from "./kept.js";
import { problem, usable } from "./page.js";
import { fault, record, warm } from "./password.js";
import { Refused, call } from "./wire.js";
import { at, t, when } from "./words.js";

let own; // the case on view
const ways = { code: "prove-code", address: "prove-address", device: "prove-device" };
const LOOK = 15000; // milliseconds between looks at the state

function told(error) {
  if (error instanceof Refused) {
    return t("recover.refused", { reference: error.reference });
  }
  return problem(error);
}

const ask = (path, message = {}) => call(own.keys, path, { recovery: own.claim, ...message }, { account: own.account, what: "recovery" });

function draw(status) {
  $("case-account").textContent = own.account;
  $("case-state").textContent = t(`recover.${status.state}`);
  const values = { opens: status.opens ? at(status.opens) : "", in: status.opens ? when(status.opens) : "", wait: Math.round(status.wait / 3600), until: at(status.expires) };
  $("case-told").textContent = t(status.state === "waiting" && status.proofs.length > 1 ? "recover.waiting.two" : `recover.${status.state}.told`, values);
  $("proofs").hidden = !["unproved", "waiting"].includes(status.state);
  $("new-password").hidden = status.state !== "open";
  for (const [way, id] of Object.entries(ways)) {
    const given = status.proofs.includes(way);
    $(id).querySelector(".good").hidden = !given;
    for (const e of $(id).querySelectorAll("input, button")) e.closest(".field, button").hidden = given;
  }
}

async function look() {
  try {
    draw(await ask("/v1/recovery/status"));
  } catch (error) {
    $("case-trouble").textContent = told(error);
    show($("case-trouble"));
  }
}

async function view(kept) {
  own = kept;
  $("for-account").value = own.account;
  hide($("begin"));
  await look();
  go($("case"));
  setInterval(look, LOOK);
  warm();
}

async function begin(form) {
  hide($("trouble"));
  try {
    const typed = form.account.value;
    const keys = (await account(typed))?.keys ?? await newKey();
    const message = { account: typed, device_name: ownName(), client: self() };
    if (form.word.value.trim()) message.word = form.word.value.trim();
    const about = { account: normal(typed), what: "recovery" };
    const begun = await call(keys, "/v1/recovery/start", message, about);
    const kept = { account: about.account, keys, claim: begun.recovery };
    await keepCase(kept);
    await view(kept);
  } catch (error) {
    $("trouble").textContent = told(error);
    show($("trouble"));
  }
}

function proving(id, key) {
  $(id).addEventListener("submit", (e) => {
    e.preventDefault();
    const typed = e.target.code.value.trim();
    if (!typed) return e.target.code.focus();
    return busy(e.target.querySelector("[type=submit]"), async () => {
      hide($("case-trouble"));
      try {
        const status = await ask("/v1/recovery/prove", { [key]: typed });
        e.target.code.value = "";
        draw(status);
        $("case-state").focus();
      } catch (error) {
        $("case-trouble").textContent = told(error);
        show($("case-trouble"));
      }
    });
  });
}

async function set(form) {
  hide($("case-trouble"));
  try {
    const bad = await fault(form.password.value, own.account);
    if (bad) {
      $("password-hint").textContent = t(bad);
      form.password.focus();
      return;
    }
    const made = await record(form.password.value, (request) => ask("/v1/recovery/password/start", { request }));
    const done = await ask("/v1/recovery/password/finish", { ...made, device_name: ownName(), client: self() });
    form.password.value = "";
    await dropCase(own.account);
    if (done.signed_in) {
      await keepSignedIn(own.keys, ownName(), done.signed_in);
      inside();
    } else {
      location.assign("/?add"); // with the new password, and a code
    }
  } catch (error) {
    $("case-trouble").textContent = told(error);
    show($("case-trouble"));
  }
}

// sends is a form of one field that is answered the same whatever is typed.
function sends(id, path, message, line) {
  $(id).addEventListener("submit", (e) => {
    e.preventDefault();
    const field = e.target.querySelector("input");
    if (!field.value.trim()) return field.focus();
    return busy(e.target.querySelector("[type=submit]"), async () => {
      try {
        await call(await newKey(), path, message(field.value.trim()), { account: "", what: "recovery" });
        $(line).textContent = t(line);
      } catch (error) {
        $(line).textContent = told(error);
      }
    });
  });
}

async function start() {
  if (!usable()) return;
  hints(null, null, $("password"), $("password-hint"));
  const form = $("begin-form");
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    if (form.account.value.trim()) busy(form.querySelector("[type=submit]"), () => begin(form));
    else form.account.focus();
  });
  proving("prove-code", "code");
  proving("prove-address", "address_code");
  proving("prove-device", "device_code");
  sends("forgot-form", "/v1/recovery/identifier", (email) => ({ email }), "forgot-told");
  sends("stop-form", "/v1/recovery/cancel", (word) => ({ word }), "stop-told");
  $("send").addEventListener("click", () => busy($("send"), async () => {
    try {
      await ask("/v1/recovery/send");
      $("sent").textContent = t("sent");
    } catch (error) {
      $("sent").textContent = told(error);
    }
  }));
  $("new-password").addEventListener("submit", (e) => {
    e.preventDefault();
    busy(e.target.querySelector("[type=submit]"), () => set(e.target));
  });
  $("anew").addEventListener("click", async () => { await dropCase(own.account); location.reload(); });
  const [kept] = await cases();
  if (kept) await view(kept);
}

start();
