// Passkeys (W3C Web Authentication), in the JSON forms that browsers read and
// write themselves.
import { fromBase64url } from "./device.js";
import { call } from "./wire.js";

// Stopped says that the person, or the authenticator, did not go on; known,
// that the authenticator has a passkey of the account already.
export class Stopped extends Error {
  constructor(known) {
    super("stopped");
    this.known = known;
  }
}

async function ceremony(work) {
  try {
    return (await work()).toJSON();
  } catch (error) {
    if (error instanceof DOMException) throw new Stopped(error.name === "InvalidStateError");
    throw error;
  }
}

export const create = (options) => ceremony(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }));
const get = (options) => ceremony(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }));

// Another says that the passkey is of an account that goes with another key:
// its subject, as access tokens name it.
export class Another extends Error {
  constructor(subject) {
    super("another account");
    this.subject = subject;
  }
}

const subjectOf = (handle) => [...fromBase64url(handle ?? "")].map((b) => b.toString(16).padStart(2, "0")).join("");

// enter signs in by a passkey: as the only step, or after the password for an
// attempt. fits says whether the keys are those of the passkey's account.
export async function enter(keys, paths, message, about, fits = () => true) {
  const { options, state } = await call(keys, paths[0], message, about);
  const proof = { state, credential: await get(options) };
  const subject = subjectOf(proof.credential.response.userHandle);
  if (!fits(subject)) throw new Another(subject);
  if (message.attempt) proof.attempt = message.attempt;
  return call(keys, paths[1], proof, about);
}
