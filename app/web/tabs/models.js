// Models: what is loaded, how good it is, how it learned, and the ladder of language models.
import { element } from "../dom.js";
import { drawLadder, tableOfLadder } from "../ladder.js";
import { showLearningCurve } from "../learning_curve.js";
import { count, figure, millions, percent } from "../numbers.js";
import { fitted } from "../plot.js";
import { Notice, ask } from "../service.js";
import { WORDS } from "../words.js";

const SHARES = ["accuracy", "binary_accuracy", "unknown_rate"];
const SHOWN = ["perplexity", "accuracy", "binary_accuracy", "bits_per_character"];

export const models = {
  name: "models",
  async build(panel) {
    const notice = new Notice();
    const cards = element("div", { class: "cards" });
    const ladder = element("section", { class: "ladder" });
    panel.append(notice.node, cards, ladder);
    try {
      const answer = await ask("models");
      cards.append(...answer.models.map(drawCard));
      await Promise.all(answer.models.map(({ name }, index) => addCurve(name, cards.children[index])));
      showLadder(ladder, await ask("web/ladder.json"));
    } catch (error) {
      notice.show(error);
    }
  },
};

async function addCurve(name, card) {
  const curve = await ask(`models/${encodeURIComponent(name)}/learning-curve`);
  if (curve.validation.length) card.append(showLearningCurve(curve));
}

function drawCard(model) {
  const { config } = model;
  const network = config.cell ? `${config.bidirectional ? "Bi" : ""}${config.cell.toUpperCase()}` : `${config.order}-gram`;
  const sizes = config.hidden_size && layerSizes(config);
  const facts = [
    ["models.network", [network, sizes].filter(Boolean).join(" ")],
    ["models.parameters", model.num_parameters ? millions(model.num_parameters) : "–"],
    ["models.vocabulary", `${count(model.vocab_size)} (${model.tokenizer})`],
    ["models.precision", model.precision],
    ["models.data", model.training_data],
    ["models.license", model.license],
  ];
  const rows = facts.map(([words, value]) => element("div", {}, element("dt", { words }), element("dd", {}, value)));
  return element(
    "article",
    { class: "card" },
    element("header", {}, element("h2", {}, model.name), element("p", { class: "small" }, ...taskOf(model))),
    element("p", { class: "description", lang: "en" }, model.description),
    qualityOf(model.quality),
    element("dl", { class: "figures" }, ...rows),
  );
}

/** Name the widths of the layers; a tied language model's last is as wide as its vectors. */
function layerSizes({ num_layers: count, hidden_size: size, embedding_size: last, tied }) {
  if (!tied || size === last) return `${count} × ${size}`;
  return [...Array(count - 1).fill(size), last].join(" + ");
}

function taskOf({ task, language }) {
  const key = `models.task-${task}`;
  const name = key in WORDS ? element("span", { words: key }) : task;
  return [name, ` · ${language}`];
}

/** Set the model's figures on test beside those of its baselines. */
function qualityOf(quality) {
  const test = quality.filter(({ split, name }) => split === "test" && SHOWN.includes(name));
  if (!test.length) return null;
  const body = SHOWN.flatMap((shown) => {
    const own = test.filter(({ name, model }) => name === shown && !model);
    return [...own, ...test.filter(({ name, model }) => name === shown && model)].map(qualityRow);
  });
  const heads = ["models.metric", "models.of", "models.test"].map((words) => element("th", { scope: "col", words }));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body));
}

function qualityRow({ name, value, model }, index, { length }) {
  const shown = SHARES.includes(name) ? percent(value) : figure(value);
  const what = element("th", { scope: "rowgroup", rowspan: length, words: `models.metric-${name}` });
  const whose = model ? element("td", {}, model) : element("td", { words: "models.itself" });
  const number = element("td", { class: "number" }, shown);
  return element("tr", { class: model ? "beside" : "own" }, index ? null : what, whose, number);
}

function showLadder(section, corpora) {
  section.append(element("h2", { words: "models.ladder" }), element("p", { class: "small", words: "models.ladder-is" }));
  for (const corpus of corpora) {
    const numbers = element("details", {}, element("summary", { words: "models.numbers" }));
    numbers.append(element("div", { class: "scrolls", tabindex: 0, role: "group", label: "models.numbers" }, tableOfLadder(corpus)));
    const drawing = fitted((width) => drawLadder(corpus, width));
    section.append(element("figure", {}, element("h3", {}, corpus.title), drawing, numbers));
  }
  section.append(ladderKey());
}

function ladderKey() {
  const entry = (name, words) => element("span", {}, element("i", { class: name }), element("span", { words }));
  return element("p", { class: "key" }, entry("mark own", "models.ours"), entry("mark published", "models.in-print"), entry("stroke level", "models.n-gram"));
}
