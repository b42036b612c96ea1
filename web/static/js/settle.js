// What appears by itself must not come between a press and what it was meant
// for. It waits while a pointer moves or is down; and what has moved, or has
// just appeared, takes no press of a pointer for a moment.
const REST = 400; // milliseconds that a pointer has to rest
const LONGEST = 2000; // milliseconds that news wait for it
export const SETTLE = 700; // milliseconds until a press is meant for what is seen

const pressable = "a[href], button, input, summary, label";
let down = false;
let last = -Infinity;

for (const kind of ["pointermove", "pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(kind, () => {
    if (kind !== "pointermove") down = kind === "pointerdown";
    last = performance.now();
  }, { capture: true, passive: true });
}

// Keys press what has the focus, wherever it is: their clicks count none.
addEventListener("click", (e) => {
  if (e.detail === 0 || !e.target.closest("[data-settling]")) return;
  e.preventDefault();
  e.stopImmediatePropagation();
}, true);

async function rest() {
  const latest = performance.now() + LONGEST;
  for (;;) {
    const now = performance.now();
    if (now >= latest || (!down && now - last >= REST)) return;
    await new Promise((go) => setTimeout(go, Math.min(latest - now, down ? 50 : last + REST - now)));
  }
}

const places = () => new Map([...document.querySelectorAll(pressable)].map((e) => [e, e.getBoundingClientRect()]).filter(([, at]) => at.width > 0));

const timers = new WeakMap();

// unpressed keeps an element from being pressed until it has been there for a moment.
export function unpressed(e) {
  e.setAttribute("data-settling", "");
  clearTimeout(timers.get(e));
  timers.set(e, setTimeout(() => e.removeAttribute("data-settling"), SETTLE));
}

// settle makes a change of the page that nobody on it has asked for.
export async function settle(change) {
  await rest();
  const before = places();
  change();
  for (const [e, at] of places()) {
    const was = before.get(e);
    if (!was || was.top !== at.top || was.left !== at.left) unpressed(e);
  }
}

// settled is an element as it will be once it can be pressed.
function settled(e) {
  const copy = e.cloneNode(true);
  for (const s of [copy, ...copy.querySelectorAll("[data-settling]")]) s.removeAttribute("data-settling");
  return copy;
}

// refill gives a list the entries that it should have by now. One that says
// what it said before stays the same element: whoever is about to press it, or
// stands on it with a key, loses nothing. Entries that can be pressed carry the
// id of what they are about.
export function refill(list, entries) {
  let old = list.firstElementChild;
  const drop = () => {
    const gone = old;
    old = old.nextElementSibling;
    gone.remove();
  };
  for (const e of entries) {
    let same = old;
    while (same && !settled(same).isEqualNode(e)) same = same.nextElementSibling;
    if (!same) {
      list.insertBefore(e, old);
      continue;
    }
    while (old !== same) drop();
    old = same.nextElementSibling;
  }
  while (old) drop();
}

// inTurn runs work that fetches and draws one at a time: an answer that is slow
// never replaces a newer one. Whoever asks while it runs is given what it finds
// when it has begun once more, which it does once for all of them.
export function inTurn(work) {
  let last = Promise.resolve();
  let next;
  return () => next ??= last = last.catch(() => {}).then(() => {
    next = undefined;
    return work();
  });
}
