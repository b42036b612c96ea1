// A code on view for somebody who types it elsewhere: the next one comes by
// itself when the present one ends.
import { el, say } from "./dom.js";
import { over } from "./account.js";
import { Problem, problem } from "./page.js";
import { number, t } from "./words.js";
import { on } from "./wire.js";

// countdown fills a box as long as path gives codes for the thing r. It returns
// what stops it. format spells a code; done is called when there is none to
// type.
export function countdown(entry, path, r, box, format, done = () => {}) {
  let timer, stopped;
  const digits = el("output", { class: "digits", dir: "ltr" });
  const left = el("progress", { max: 30, "aria-label": t("code.left") });
  const seconds = el("span", {});
  async function fetch() {
    try {
      const got = await on(entry, path, { id: r.id });
      if (stopped) return;
      if (!got.code) return done();
      if (!digits.isConnected) box.replaceChildren(el("p", {}, t("request.type", { name: r.name })), el("p", {}, digits), el("p", {}, left, " ", seconds), el("p", { class: "warn" }, t("request.warning")));
      digits.value = format(got.code);
      say(t("code.is", { code: [...got.code].join(" ") }));
      const ends = Date.now() + got.remaining * 1000;
      timer = setInterval(() => {
        const rest = Math.max(0, (ends - Date.now()) / 1000);
        left.value = rest;
        seconds.textContent = t("seconds", { n: number(Math.ceil(rest)) });
        if (rest > 0) return;
        clearInterval(timer);
        fetch();
      }, 200);
    } catch (error) {
      if (error instanceof Problem) box.replaceChildren(el("p", {}, problem(error)));
      else over(error);
    }
  }
  fetch();
  return () => { stopped = true; clearInterval(timer); };
}
