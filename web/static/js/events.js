// What appears by itself: a signed stream of events. Of all pages of an
// account that are open, one listens and tells the others: a browser has few
// connections to give.
import { Refused } from "./page.js";
import { stream } from "./wire.js";

const AGAIN = 2000; // milliseconds until a stream that broke is opened anew

// listen calls heard(kind, data) for every event; it goes on until the session
// is refused, which it throws. What a page shows was asked for before anybody
// listened, so the first thing that is heard of a stream is followed by a
// "changed": for what came between.
export async function listen(entry, heard) {
  const channel = new BroadcastChannel(`readmit ${entry.account}`);
  let latest, hears = false;
  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (latest) channel.postMessage(latest);
      return;
    }
    heard(data.kind, data.value);
    if (!hears && data.kind === "requests") heard("changed", {});
    hears = true;
  };
  channel.postMessage({ ask: true });
  const tell = (kind, value) => {
    channel.postMessage({ kind, value });
    heard(kind, value);
  };
  await navigator.locks.request(`readmit ${entry.account}`, async () => {
    for (;;) {
      try {
        let first = true;
        for await (const [kind, value] of events(await stream(entry, "/v1/events"))) {
          if (kind === "requests") latest = { kind, value };
          tell(kind, value);
          if (first && kind === "requests") tell("changed", {});
          first = false;
        }
      } catch (error) {
        if (error instanceof Refused) throw error; // all else passes: the network, the server
      }
      await new Promise((go) => setTimeout(go, AGAIN));
    }
  });
}

// events reads the form of server-sent events.
async function* events(reader) {
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = Object.fromEntries(block.split("\n").map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]));
      if (lines.event) yield [lines.event, JSON.parse(lines.data)];
    }
  }
}
