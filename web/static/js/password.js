// Passwords: proved and set by OPAQUE (RFC 9807). What is typed never leaves
// this browser.
import { random } from "./device.js";
import { Unreachable } from "./page.js";
import { call, finish, hello } from "./wire.js";

let worker;
const waiting = new Map();
let last = 0;

// warm starts the worker, so that it is ready when the password is.
export function warm() {
  if (worker) return;
  worker = new Worker(new URL("./password-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data: { id, result, failed } }) => {
    const { done, fail } = waiting.get(id);
    waiting.delete(id);
    if (failed) fail(new Unreachable());
    else done(result);
  };
  worker.onerror = () => {
    for (const { fail } of waiting.values()) fail(new Unreachable());
    waiting.clear();
    worker = undefined;
  };
}

function opaque(name, args) {
  warm();
  return new Promise((done, fail) => {
    waiting.set(++last, { done, fail });
    worker.postMessage({ id: last, call: name, args });
  });
}

// One spelling, however the keyboard composes letters.
const prepare = (password) => password.normalize("NFC");

// stretching is what the server asks of us, within the bounds that every
// client of ours keeps: not so little that guesses become cheap, not so much
// that a server could stall us.
function stretching({ memory, time, threads }) {
  const within = (n, least, most) => Number.isInteger(n) && n >= least && n <= most;
  if (!within(memory, 19 << 10, 1 << 20) || !within(time, 2, 16) || !within(threads, 1, 16)) throw new Unreachable();
  return { "argon2id-custom": { iterations: time, memory, parallelism: threads } };
}

const KE3 = 64; // bytes

// prove runs a sign-in's first two messages. A client whose envelope does not
// open sends random bytes, so that it gets its incident.
export async function prove(keys, start, typed, about) {
  const password = prepare(typed);
  const { clientLoginState, startLoginRequest } = await opaque("startLogin", { password });
  const started = await call(keys, "/v1/sign-in/start", { ...start, ke1: startLoginRequest }, about);
  const proof = await opaque("finishLogin", {
    password, clientLoginState, loginResponse: started.ke2, keyStretching: stretching(started.stretch),
  });
  return finish("/v1/sign-in/finish", { state: started.state, ke3: proof?.finishLoginRequest ?? random(KE3) }, about);
}

// record makes the record of a new password; ask sends its request.
export async function record(typed, ask) {
  const password = prepare(typed);
  const { stretch } = await hello();
  const { clientRegistrationState, registrationRequest } = await opaque("startRegistration", { password });
  const { response } = await ask(registrationRequest);
  const { registrationRecord } = await opaque("finishRegistration", {
    password, clientRegistrationState, registrationResponse: response, keyStretching: stretching(stretch),
  });
  return { record: registrationRecord, stretch };
}

const LEAST = 8; // characters, beside a second factor
const MOST = 1024; // bytes

// fault says why a password must not be set: a key of the words, or "".
// The server cannot look at it, so this is the only place that does.
export async function fault(typed, account) {
  const password = prepare(typed);
  const lower = password.toLowerCase();
  const whole = account.trim().toLowerCase();
  if ([...password].length < LEAST) return "password.short";
  if (new TextEncoder().encode(password).length > MOST) return "password.long";
  if (lower === whole || lower === whole.split("@")[0]) return "password.own-name";
  const common = await fetch(new URL("../dist/common.txt", import.meta.url)).then((r) => (r.ok ? r.text() : Promise.reject(new Unreachable())), () => { throw new Unreachable(); });
  return common.split("\n").includes(lower) ? "password.common" : "";
}
