// A recovery on view: what is proved and what is still needed, the wait, the
// new password. Before anything is proved all of it is the same for every
// account, and for none.
import { $, ask as sure, busy, go, hide, lead, show } from "./dom.js";
import { ownName, self } from "./device.js";
import { inside, keepSignedIn } from "./inside.js";
import { dropCase } from "./kept.js";
import { Problem, Refused, Unreachable, problem, server } from "./page.js";
import { fault, record, warm } from "./password.js";
import { call } from "./wire.js";
import { settle } from "./settle.js";
import { at, t, when } from "./words.js";

const ways = { code: ["prove-code", "code"], address: ["prove-address", "address_code"], device: ["prove-device", "device_code"] };
const LOOK = 15000; // milliseconds between looks at the state

let own; // the case on view
let looking;
let ended = false;

const known = (error) => [Refused, Problem, Unreachable].some((kind) => error instanceof kind);

export function told(error) {
  return error instanceof Refused ? t("recover.refused", { reference: error.reference }) : problem(error);
}

export const address = (account) => `/recover#case=${encodeURIComponent(account)}`;

const ask = (path, message = {}) => call(own.keys, path, { recovery: own.claim, ...message }, { account: own.account, what: "recovery" });

// put changes a text only where it has changed: who listens hears it once.
function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function trouble(error) {
  if (!known(error)) console.error(error);
  $("case-trouble").textContent = told(error);
  show($("case-trouble"));
}

function draw(status) {
  // Times are the server's; this device's clock may be wrong.
  const here = (seconds) => seconds + Date.now() / 1000 - status.now;
  const opens = status.opens ? here(status.opens) : 0;
  ended = ["cancelled", "finished", "over"].includes(status.state);
  put("case-state", t(`recover.${status.state}`));
  document.title = `${t(`recover.${status.state}`)} · Readmit`;
  const values = { opens: opens ? at(opens) : "", in: opens ? when(opens, 48) : "", wait: Math.round(status.wait / 3600), until: at(here(status.expires)) };
  put("case-told", t(status.state === "waiting" && status.proofs.length > 1 ? "recover.waiting.two" : `recover.${status.state}.told`, values));
  $("case-wait").hidden = status.state !== "waiting";
  $("case-wait").max = status.wait;
  $("case-wait").value = status.opens ? Math.max(0, status.wait - Math.max(0, status.opens - status.now)) : 0;
  $("proofs").hidden = !["unproved", "waiting"].includes(status.state);
  $("new-password").hidden = status.state !== "open";
  $("case-found").hidden = $("forget").hidden = ended;
  for (const [way, [id]] of Object.entries(ways)) {
    const given = status.proofs.includes(way);
    $(id).classList.toggle("given", given);
    $(id).querySelector(".good").hidden = !given;
    for (const e of $(id).querySelectorAll(".needed")) e.hidden = given;
  }
}

async function look() {
  try {
    const status = await ask("/v1/recovery/status");
    await settle(() => draw(status));
  } catch (error) {
    trouble(error);
  }
}

// view shows a case that this browser has begun.
export async function view(kept) {
  own = kept;
  history.replaceState(null, "", address(own.account));
  hide($("begin"), $("case-trouble"));
  $("case-account").textContent = $("for-account").value = own.account;
  const link = $("case-link");
  link.href = address(own.account);
  link.textContent = `${server}/recover#case=${own.account}`;
  await look();
  go($("case"));
  clearInterval(looking);
  looking = setInterval(look, LOOK);
  warm();
}

function proving([id, key]) {
  $(id).addEventListener("submit", (e) => {
    e.preventDefault();
    const typed = e.target.code.value.trim();
    if (!typed) return e.target.code.focus();
    return busy(e.target.querySelector("[type=submit]"), async () => {
      hide($("case-trouble"));
      try {
        draw(await ask("/v1/recovery/prove", { [key]: typed }));
        e.target.code.value = "";
        go($("case"));
      } catch (error) {
        trouble(error);
        e.target.code.select();
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
    trouble(error);
  }
}

// leave goes back to the beginning; a case that has ended is kept no longer.
async function leave(forget) {
  if (forget) await dropCase(own.account);
  history.replaceState(null, "", "/recover#new");
  location.reload();
}

// giveUp ends the case at the server too. Where it has ended there by itself,
// or begun anew elsewhere, nothing is left to be done.
async function giveUp() {
  hide($("case-trouble"));
  try {
    await ask("/v1/recovery/give-up");
  } catch (error) {
    if (!["no-recovery", "no-case"].includes(error.reason)) return trouble(error);
  }
  await leave(true);
}

export function wire() {
  Object.values(ways).forEach(proving);
  $("send").addEventListener("click", () => busy($("send"), async () => {
    try {
      await ask("/v1/recovery/send");
      $("sent").textContent = t("sent");
      lead($("address-code"));
    } catch (error) {
      $("sent").textContent = told(error);
    }
  }));
  $("new-password").addEventListener("submit", (e) => {
    e.preventDefault();
    busy(e.target.querySelector("[type=submit]"), () => set(e.target));
  });
  $("anew").addEventListener("click", () => leave(ended));
  $("forget").addEventListener("click", async () => {
    if (await sure(t("recover.forget"), t("recover.forget.what"), t("recover.forget.do"))) await busy($("forget"), giveUp);
  });
}
