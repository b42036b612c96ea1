// What a finished sign-in gives this browser, and where it leads.
import { secretKey } from "./codes.js";
import { fromBase64url } from "./device.js";
import { choose, keep } from "./kept.js";

// subjectOf is how the server names the account, in tokens and to passkeys.
const subjectOf = (token) => JSON.parse(new TextDecoder().decode(fromBase64url(token.split(".")[1]))).sub;

// keepSignedIn keeps what a finished sign-in gave this browser.
export async function keepSignedIn(keys, deviceName, done) {
  const entry = {
    account: done.account, subject: subjectOf(done.access_token), device: done.device, session: done.session, keys, name: deviceName,
    codes: await secretKey(fromBase64url(done.code_secret)), since: Date.now(),
  };
  await keep(entry);
  choose(entry);
}

// inside goes to where somebody wanted to be, on this site and nowhere else.
export function inside() {
  const wanted = sessionStorage.getItem("readmit-after") ?? "";
  sessionStorage.removeItem("readmit-after");
  location.assign(/^\/(account|incident|desk)(\/[\w-]+)?$/.test(wanted) ? wanted : "/account");
}
