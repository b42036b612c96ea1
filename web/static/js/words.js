// The words of this page's language. Every string that a script shows comes
// from here. Scripts are loaded from a folder for each language; what lies there
// as words.js is that language's.
import words from "../words.js";

export const has = (key) => Object.hasOwn(words, key);

// t fills the {names} of a string.
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

const lang = document.documentElement.lang;

// What knows how people tell time is made when there is a time to tell: the
// browser reads much for it.
const once = (make) => { let made; return () => made ??= make(); };
const instant = once(() => new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" }));
const clock = once(() => new Intl.DateTimeFormat(lang, { timeStyle: "short" }));
const relative = once(() => new Intl.RelativeTimeFormat(lang, { numeric: "auto" }));

// when tells a moment, given in Unix seconds, as people do: in hours up to so
// many of them.
export function when(seconds, hours = 24) {
  const ago = seconds - Date.now() / 1000;
  const size = Math.abs(ago);
  if (size < 45) return t("just-now");
  if (size < 3600) return relative().format(Math.round(ago / 60), "minute");
  if (size < hours * 3600) return relative().format(Math.round(ago / 3600), "hour");
  if (size < 7 * 86400) return relative().format(Math.round(ago / 86400), "day");
  return instant().format(seconds * 1000);
}

export const at = (seconds) => instant().format(seconds * 1000);
export const until = (seconds) => clock().format(seconds * 1000);

// duration tells a length such as -1h2m3s.
export function duration(text) {
  const parts = [...text.matchAll(/(\d+)([hms])/g)].filter(([, n]) => n !== "0");
  const units = { h: "hour", m: "minute", s: "second" };
  if (parts.length === 0) return t("duration.none");
  const told = parts.map(([, n, u]) => new Intl.NumberFormat(lang, { style: "unit", unit: units[u], unitDisplay: "long" }).format(n)).join(" ");
  return text.startsWith("-") ? t("duration.behind", { time: told }) : told;
}

// software shortens what a client was written down as: "Chrome 141.0.0 (Linux
// 0.0.0)" is Chrome 141 on a Linux that did not say its version.
export const software = (s) => s.replace(/(\d+)(?:\.0)+(?=[ )]|$)/g, "$1").replace(/ 0(?=\)|$)/g, "");

// named is who did a thing: a name that somebody chose, or one of the server's
// own words for who has none.
const OWN = ["message-word", "starter", "recovery-code", "support", "operator", "unnamed"];
export const named = (who) => (OWN.includes(who) ? t(`value.${who}`) : who);

export const number = (n) => new Intl.NumberFormat(lang).format(n);
