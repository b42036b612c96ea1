// Answers the tests of package opaque with another implementation of RFC 9807.
// Each line in is a call, {"call": "client.startLogin", "args": {...}}; each
// line out is its answer, {"result": ...} or {"error": "..."}. A call that
// returns undefined is answered {"result": null}.
import { createInterface } from "node:readline";
import opaque from "@serenity-kit/opaque";

await opaque.ready;

const sides = { client: opaque.client, server: opaque.server };

function answer(line) {
  const { call, args } = JSON.parse(line);
  const [side, name] = call.split(".");
  if (!Object.hasOwn(sides, side) || typeof sides[side][name] !== "function") {
    throw new Error(`no such call: ${call}`);
  }
  return sides[side][name](args) ?? null;
}

for await (const line of createInterface({ input: process.stdin })) {
  let out;
  try {
    out = { result: answer(line) };
  } catch (err) {
    out = { error: String(err?.message ?? err) };
  }
  process.stdout.write(JSON.stringify(out) + "\n");
}
