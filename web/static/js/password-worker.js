// The OPAQUE client, off the page's thread: stretching takes most of a second,
// and the page stays alive meanwhile.
import { ready, client } from "../dist/opaque.js";

const calls = {
  startLogin: (a) => client.startLogin(a),
  finishLogin: (a) => client.finishLogin(a) ?? null,
  startRegistration: (a) => client.startRegistration(a),
  finishRegistration: (a) => client.finishRegistration(a),
};

self.onmessage = async ({ data: { id, call, args } }) => {
  try {
    await ready;
    self.postMessage({ id, result: calls[call](args) });
  } catch {
    self.postMessage({ id, failed: true });
  }
};
