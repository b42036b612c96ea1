// This browser as a device: its key, and the proofs it signs (RFC 9449, with
// the hash of the body in the claim "bh", as docs/protocol.md says).
const text = new TextEncoder();

export const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
export const fromBase64url = (s) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
export const random = (n) => base64url(crypto.getRandomValues(new Uint8Array(n)));

const kind = { name: "ECDSA", namedCurve: "P-256" };

// newKey makes a key pair whose private half cannot be taken out.
export const newKey = () => crypto.subtle.generateKey(kind, false, ["sign", "verify"]);

const json = (v) => base64url(text.encode(JSON.stringify(v)));

export async function prove(keys, { url, nonce, body }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keys.publicKey);
  const head = json({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } });
  const claims = json({
    jti: random(16), htm: "POST", htu: url, iat: Math.floor(Date.now() / 1000), nonce,
    bh: base64url(await crypto.subtle.digest("SHA-256", text.encode(body))),
  });
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, text.encode(`${head}.${claims}`));
  return `${head}.${claims}.${base64url(signature)}`;
}

// self is what this browser says of itself. A browser does not know its
// system's version: "0" is what the protocol has for that, and the name is
// written large so that no minimum for programs of that system is held against it.
export function self() {
  const ua = navigator.userAgent;
  const found = brands.map(([name, sign]) => [name, ua.match(new RegExp(`${sign}/(\\d+(\\.\\d+)?)`))]).find(([, m]) => m);
  const system = systems.find(([, sign]) => sign.test(ua))?.[0] ?? "Unknown";
  return { name: found?.[0] ?? "Browser", version: found?.[1][1] ?? "0", system, system_version: "0", protocol: 1 };
}

// Browsers name their ancestors too, so the order matters.
const brands = [["Firefox", "Firefox"], ["Opera", "OPR"], ["Edge", "Edg"], ["Chrome", "Chrome"], ["Safari", "Version"]];
const systems = [["Android", /Android/], ["iOS", /iPhone|iPad/], ["macOS", /Mac OS/], ["Windows", /Windows/], ["Linux", /Linux/]];

export function ownName() {
  const { name, system } = self();
  return `${name} - ${system}`;
}
