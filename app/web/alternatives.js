// What could have stood instead of a token, with probabilities: a short table of bars.
import { element } from "./dom.js";
import { percent } from "./numbers.js";
import { visible } from "./tokens.js";

/** Return the choices there were for an entry, likeliest first, the written one among them. */
export function choicesOf({ token, logprob, top = [] }) {
  const isAmong = token === undefined || top.some((choice) => choice.token === token);
  return isAmong ? top : [...top, { token, logprob }];
}

/** Show the choices of an entry, each with the key that takes it. */
export function choicesTable(entry, take) {
  const rows = entry.choices.map((choice, index) => {
    const row = choiceRow(choice, index + 1);
    if (choice.token === entry.token) row.classList.add("written");
    row.addEventListener("click", () => take(choice));
    return row;
  });
  return element("div", { class: "choices-table" }, ...rows);
}

function choiceRow({ token, logprob }, key) {
  const probability = Math.exp(logprob);
  return element(
    "button",
    { type: "button", tabindex: -1, class: "row" },
    element("kbd", {}, String(key)),
    element("span", { class: "word" }, visible(token)),
    bar(probability),
    element("span", { class: "number" }, percent(probability)),
  );
}

/** Draw a share of one as a bar. */
export function bar(share) {
  const filled = element("span", { class: "filled" });
  filled.style.width = `${100 * share}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, filled);
}
