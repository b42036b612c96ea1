// A line of the account's ledger, as people read it.
import { el, name } from "./dom.js";
import { at, has, named, software, t, when } from "./words.js";

const slug = (s) => s.toLowerCase().replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "");

// parts are what was done, and of which incident, by whom, where it was about one.
function parts(a) {
  const [, base, reference, audience] = a.what.match(/^(.+) of (\S+) by (\w+)$/) ?? [null, a.what];
  return { base, reference, audience };
}

// The server's words for what was done are a closed list; one that is new is
// shown as it is.
function what(a) {
  const { base, reference, audience } = parts(a);
  const key = `what.${slug(base)}`;
  const said = has(key) ? t(key) : base;
  if (!reference) return [said];
  const [before, after] = (base === READ ? t("what.looked", { reference: HERE, audience: t(`audience.${audience}`) }) : t("what.about", { what: said, reference: HERE })).split(HERE);
  return [before, el("span", { class: "ref", dir: "ltr" }, reference), after];
}

const HERE = "\0"; // where a reference goes, in one piece

const READ = "explanation read";
const looks = [READ, "recognised", "account looked up", "approval asked for"];
export const isLook = (a) => looks.includes(parts(a).base);
export const isSupport = (a) => parts(a).audience === "desk" || /support|recover|account looked up/.test(parts(a).base);
export const isRefused = (a) => a.outcome === "refused" || a.outcome === "unfinished";

// line is what a row shows: what, how it ended and why; who, where, with what, when.
export function line(a) {
  const cause = a.cause && has(`cause.${a.cause}`) ? t(`cause.${a.cause}`) : a.cause;
  const title = el("p", {}, el("strong", {}, ...what(a)), " ", isLook(a) || a.outcome === "done" ? null : el("span", { class: `state ${a.outcome}` }, t(`outcome.${a.outcome}`)));
  const from = [a.device && named(a.device), a.client && named(software(a.client)), a.address].filter(Boolean);
  return [
    title,
    cause && isRefused(a) ? el("p", {}, a.reference ? el("a", { href: `/incident/${a.reference}` }, cause) : cause) : null,
    el("p", { class: "dim" }, ...from.flatMap((f, i) => [i ? " · " : "", name(f)]), from.length ? " · " : "", el("time", { datetime: new Date(a.at * 1000).toISOString(), title: at(a.at) }, when(a.at))),
  ].filter(Boolean);
}
