// Passkeys (W3C Web Authentication), in the JSON forms that browsers read and
// write themselves.
import { call } from "./wire.js";

export const able = Boolean(globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON);

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

// enter signs in by a passkey: as the only step, or after the password for an
// attempt.
export async function enter(keys, paths, message, about) {
  const { options, state } = await call(keys, paths[0], message, about);
  const proof = { state, credential: await get(options) };
  if (message.attempt) proof.attempt = message.attempt;
  return call(keys, paths[1], proof, about);
}
