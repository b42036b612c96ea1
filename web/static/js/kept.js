// What this browser keeps: for each account its key and session, the refusals
// it was given, and the recoveries it has begun. Keys are CryptoKeys that nobody can read, not even
// these scripts; there is no cookie and no password.
let database;
const opened = () => database ??= new Promise((done, failed) => {
  const asked = indexedDB.open("readmit", 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("accounts", { keyPath: "account" });
    asked.result.createObjectStore("refusals", { keyPath: "reference" });
    asked.result.createObjectStore("cases", { keyPath: "account" });
  };
  asked.onsuccess = () => done(asked.result);
  asked.onerror = () => failed(asked.error);
});

async function run(store, mode, f) {
  const db = await opened();
  return new Promise((done, failed) => {
    const tx = db.transaction(store, mode);
    const asked = f(tx.objectStore(store));
    tx.oncomplete = () => done(asked.result);
    tx.onerror = tx.onabort = () => failed(tx.error);
  });
}

// normal is the form under which the server knows an identifier.
export const normal = (identifier) => identifier.trim().toLowerCase().normalize("NFC");

export const account = (identifier) => run("accounts", "readonly", (s) => s.get(normal(identifier)));
export const accounts = () => run("accounts", "readonly", (s) => s.getAll());
export const keep = (entry) => run("accounts", "readwrite", (s) => s.put(entry));

export const drop = (identifier) => run("accounts", "readwrite", (s) => s.delete(normal(identifier)));

export const cases = () => run("cases", "readonly", (s) => s.getAll());
export const keepCase = (entry) => run("cases", "readwrite", (s) => s.put(entry));
export const dropCase = (identifier) => run("cases", "readwrite", (s) => s.delete(identifier));

// current is the account that the account's pages show.
const CURRENT = "readmit-account";
export function choose(entry) { localStorage.setItem(CURRENT, entry.account); }
export const latest = () => account(localStorage.getItem(CURRENT) ?? "");
export async function current() {
  const all = (await accounts()).filter((a) => a.session);
  return all.find((a) => a.account === localStorage.getItem(CURRENT)) ?? all[0];
}

const KEPT = 50; // refusals
export async function keepRefusal(refusal) {
  await run("refusals", "readwrite", (s) => s.put(refusal));
  const all = await run("refusals", "readonly", (s) => s.getAll());
  all.sort((a, b) => b.at - a.at);
  for (const old of all.slice(KEPT)) await run("refusals", "readwrite", (s) => s.delete(old.reference));
}
export const refusal = (reference) => run("refusals", "readonly", (s) => s.get(reference));
