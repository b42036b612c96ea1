// An explanation as people read it: evidence, remedies.
import { $, code, el } from "./dom.js";
import { server } from "./page.js";
import { at, duration, has, t } from "./words.js";

// What a remedy's command is on these pages.
const buttons = {
  "sign-in": ["/?add", "do.sign-in"], password: ["/account/security", "do.password"], requests: ["/account", "do.requests"],
  code: ["/account", "do.code"], pass: ["/account/security#make-pass", "do.pass"],
};

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

// remedy is one step; links are given to who may follow them.
export function remedy(cause, r, i, { reference, account, linked, owner }) {
  const key = `remedy.${cause}.${i}`;
  const step = el("li", {}, has(key) ? t(key) : r.do, " ");
  const command = r.argv?.[0] === "readmit" ? r.argv[1] : undefined;
  if (r.by === "operator") step.append(el("span", { class: "tag" }, t("by.operator")), " ");
  if (linked && buttons[command] && r.by === "person" && (owner || command === "sign-in")) {
    step.append(el("a", { class: i === 0 ? "button main" : "button", href: buttons[command][0] }, t(buttons[command][1])));
  } else if (linked && r.do.includes("/recover")) {
    step.append(el("a", { class: "button", href: "/recover" }, t("do.recover")));
  } else if (r.argv) {
    step.append(code(r.argv.join(" ").replace("{reference}", reference).replace("{server}", server).replace("{account}", account || "{account}")));
  }
  return step;
}
