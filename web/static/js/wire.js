// Calls to the account server. A refusal is kept, as every device keeps its own.
import { prove } from "./device.js";
import { keepRefusal } from "./kept.js";
import { Problem, Refused, Unreachable, server } from "./page.js";

const STALE = 4010;
const REFUSED = 4001;
let nonce = "";

async function send(path, init) {
  let answer;
  try {
    answer = await fetch(path, { ...init, credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" });
  } catch {
    throw new Unreachable();
  }
  nonce = answer.headers.get("DPoP-Nonce") ?? nonce;
  return answer;
}

async function read(answer) {
  const kind = answer.headers.get("Content-Type") ?? "";
  if (answer.status === 204) return null;
  if (answer.ok && kind.startsWith("application/json")) return answer.json();
  if (!kind.startsWith("application/problem+json")) throw new Unreachable();
  return Promise.reject(await answer.json());
}

export async function hello() {
  return read(await send("/v1/hello", {}));
}

const post = (body, headers = {}) => ({ method: "POST", body, headers: { "Content-Type": "application/json", ...headers } });

// open sends a signed message and returns the answer unread. A proof whose
// nonce is old is made again, once, with the nonce of that answer.
async function open(keys, path, body) {
  if (!nonce) await hello();
  for (let first = true; ; first = false) {
    const answer = await send(path, post(body, { DPoP: await prove(keys, { url: server + path, nonce, body }) }));
    if (first && answer.status === 401 && (await answer.clone().json().catch(() => ({}))).code === STALE) continue;
    return answer;
  }
}

// failed makes of a problem what is thrown, and keeps a refusal.
async function failed(problem, about) {
  if (!problem || typeof problem.code !== "number") return problem;
  if (problem.code !== REFUSED) return new Problem(problem);
  await keepRefusal({ reference: problem.reference, incident: problem.incident, at: Date.now(), ...about });
  return new Refused(problem);
}

// call makes a signed call; about says for which account and what.
export async function call(keys, path, message, about) {
  const body = JSON.stringify(message);
  try {
    return await read(await open(keys, path, body));
  } catch (problem) {
    throw await failed(problem, about);
  }
}

// finish sends the last message of a sign-in: KE3 is its proof.
export async function finish(path, message, about) {
  try {
    return await read(await send(path, post(JSON.stringify(message))));
  } catch (problem) {
    throw await failed(problem, about);
  }
}

// on makes a call on an account's session.
export const on = (entry, path, message = {}) => call(entry.keys, path, { session: entry.session, ...message }, { account: entry.account, what: path });

// stream opens a call whose answer goes on: it returns its reader.
export async function stream(entry, path) {
  const answer = await open(entry.keys, path, JSON.stringify({ session: entry.session }));
  if (answer.ok) return answer.body.pipeThrough(new TextDecoderStream()).getReader();
  throw await failed(await answer.json().catch(() => null), { account: entry.account, what: path });
}
