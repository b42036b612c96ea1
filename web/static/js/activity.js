// Everything that was tried and done, and who looked.
import { $, el } from "./dom.js";
import { isLook, isRefused, line } from "./ledger.js";
import { account, over } from "./page.js";
import { t } from "./words.js";
import { on } from "./wire.js";

const wanted = { all: () => true, refused: isRefused, looks: isLook };

function row(a) {
  const you = isLook(a) || !a.reference ? null : el("p", { class: "go" },
    el("a", { href: `/incident/${a.reference}` }, t("activity.why")), " ",
    el("a", { href: "/account/security#not-me" }, t("activity.not-me")));
  return el("li", {}, ...line(a), you);
}

async function start() {
  const entry = await account();
  if (!entry) return;
  const { activity } = await on(entry, "/v1/activity");
  const draw = () => {
    const only = document.querySelector('input[name="only"]:checked').value;
    const some = activity.filter(wanted[only]);
    $("activity").replaceChildren(...some.map(row));
    $("activity-none").hidden = some.length > 0;
  };
  for (const choice of document.querySelectorAll('input[name="only"]')) choice.addEventListener("change", draw);
  draw();
}

start().catch((error) => over(error));
