// What appears by itself: a signed stream of events. Of all pages of an
// account that are open, one listens and tells the others: a browser has few
// connections to give.
import { Refused, stream } from "./wire.js";

const AGAIN = 2000; // milliseconds until a stream that broke is opened anew

// listen calls heard(kind, data) for every event; it goes on until the session
// is refused, which it throws.
export async function listen(entry, heard) {
  const channel = new BroadcastChannel(`readmit ${entry.account}`);
  let latest;
  channel.onmessage = ({ data }) => {
    if (data.ask) { if (latest) channel.postMessage(latest); } else heard(data.kind, data.value);
  };
  channel.postMessage({ ask: true });
  await navigator.locks.request(`readmit ${entry.account}`, async () => {
    for (;;) {
      try {
        for await (const [kind, value] of events(await stream(entry, "/v1/events"))) {
          latest = { kind, value };
          channel.postMessage(latest);
          heard(kind, value);
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
