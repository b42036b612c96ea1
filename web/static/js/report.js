// An explanation as people read it: evidence, remedies.
import { $, code, el } from "./dom.js";
import { server } from "./page.js";
import { at, duration, has, t } from "./words.js";

// Where a remedy's command is on these pages, or the page that the table of
// causes names instead of one.
const INSIDE = {
  password: ["/account/security", "do.password"], requests: ["/account", "do.requests"], code: ["/account", "do.code"],
  pass: ["/account/security#make-pass", "do.pass"], devices: ["/account/devices", "do.devices"], activity: ["/account/activity", "do.activity"],
  passkeys: ["/account/ways#passkeys-title", "do.passkeys"], addresses: ["/account/ways#addresses-title", "do.addresses"], stop: ["/account", "do.stop"],
};
const OPEN = { "sign-in": ["/?add", "do.sign-in"], recover: ["/recover", "do.recover"], stop: ["/recover#stop=", "do.stop"] };

function button({ argv = [], page, by }, owner) {
  const done = page ?? (argv[0] === "readmit" ? argv[1] : "");
  return by === "person" ? (owner && INSIDE[done]) || OPEN[done] : undefined;
}

// filled is a word of a command as a shell takes it: where nothing is known of
// what it stands for, by its name.
function filled(word, known) {
  const name = word.match(/^\{(\w+)\}$/)?.[1];
  if (name && !known[name]) return name.toUpperCase();
  const said = name ? known[name] : word;
  return /^[\w@%+=:,./-]+$/.test(said) ? said : `'${said.replaceAll("'", "'\\''")}'`;
}

function value(text) {
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return at(Date.parse(text) / 1000);
  if (/^-?(\d+[hms])+$/.test(text)) return duration(text);
  return has(`value.${text}`) ? t(`value.${text}`) : text;
}

// asReference is a reference as it is written, or null for what is none. What
// is easily misread is taken for what it looks like.
export function asReference(typed) {
  const signs = typed.toUpperCase().replace(/[\s-]/g, "").replace(/[IL]/g, "1").replace(/O/g, "0");
  return /^[0-9A-HJKMNP-TV-Z]{8}$/.test(signs) ? `${signs.slice(0, 4)}-${signs.slice(4)}` : null;
}

export const title = (f) => (has(`cause.${f.cause}`) ? t(`cause.${f.cause}`) : f.title);

export function fact(f) {
  const said = (s, what) => el("td", { "data-is": what }, s ? el("bdi", {}, value(s)) : "");
  return el("tr", {}, el("th", { scope: "row" }, has(`check.${f.check}`) ? t(`check.${f.check}`) : f.check), said(f.got), said(f.want, $("evidence").dataset.want), el("td", { class: "dim" }, t(`seen.${f.seen}`)));
}

// remedy is one step of a finding's; links are given to who may follow them.
export function remedy(finding, i, { reference, account, linked, owner }) {
  const r = finding.remedies[i];
  const key = `remedy.${finding.cause}.${i}`;
  const step = el("li", {}, has(key) ? t(key) : r.do, " ");
  if (r.by === "operator") step.append(el("span", { class: "tag" }, t("by.operator")), " ");
  const to = linked && button(r, owner);
  if (to) {
    step.append(el("a", { class: i === 0 ? "button main" : "button", href: to[0] }, t(to[1])));
  } else if (r.argv) {
    const device = finding.evidence.find((f) => f.check === "device-locked")?.got;
    step.append(code(r.argv.map((word) => filled(word, { reference, server, account, device })).join(" ")));
  }
  return step;
}
