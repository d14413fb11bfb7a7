// Surprise: a text coloured by how little its words were expected.
import { element, examples, field, languageOf } from "../dom.js";
import { Tooltip } from "../tooltip.js";
import { bits, count, figure, percent } from "../numbers.js";
import { LANGUAGE_MODELS, Notice, ask, offerModels } from "../service.js";
import { TokenText, visible } from "../tokens.js";
import { isVerse } from "../writing.js";

const EXAMPLES = [
  "The ship was built in 1910 and sank in the war.",
  "The king was crowned in 1910 by a small umbrella and a bassoon.",
  "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。",
];
const MOST_BITS = 16;
const NUM_HARDEST = 6;

export const surprise = {
  name: "surprise",
  build: (panel) => new Reader(panel),
};

class Reader {
  constructor(panel) {
    this.notice = new Notice();
    this.tokens = [];
    this.view = new TokenText(new Tooltip("surprise-tooltip"), {
      label: "surprise.text-coloured",
      explain: (index) => explain(this.tokens[index]),
    });
    this.empty = element("p", { class: "empty", words: "surprise.empty" });
    this.sheet = element("article", { class: "sheet" }, this.empty, this.view.node, legend());
    this.hardest = element("ol", { class: "hardest" });
    this.figures = element("dl", { class: "figures" });
    const left = element("div", { class: "column" }, this.makeControls(), this.notice.node, this.sheet);
    panel.append(element("div", { class: "desktop" }, left, this.makeMargin()));
    this.view.node.hidden = true;
  }

  makeControls() {
    this.text = element("textarea", { rows: 4, class: "script", hint: "surprise.hint", spellcheck: "false" });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.measure();
    });
    const go = element("button", { type: "button", class: "primary", words: "surprise.go", on: { click: () => this.measure() } });
    const offer = examples(EXAMPLES, (text) => {
      this.text.value = text;
      this.measure();
    });
    const buttons = element("div", { class: "buttons" }, go);
    return element("div", { class: "stack" }, field("surprise.text", this.text), offer, buttons);
  }

  makeMargin() {
    this.model = element("select", {});
    offerModels(this.model, LANGUAGE_MODELS).catch((error) => this.notice.show(error));
    this.found = element(
      "section",
      { class: "stack", hidden: true },
      this.figures,
      element("h2", { words: "surprise.hardest" }),
      this.hardest,
      element("p", { class: "small", words: "surprise.what-bits" }),
    );
    return element("aside", { class: "margin stack", label: "surprise.found" }, field("surprise.model", this.model), this.found);
  }

  async measure() {
    this.notice.clear();
    const text = this.text.value;
    const body = { text, per_token: true, ...(this.model.value && { model: this.model.value }) };
    try {
      const { model, results } = await ask("score", body);
      this.show(text, model, results[0]);
    } catch (error) {
      this.notice.show(error);
    }
  }

  show(text, model, result) {
    this.tokens = result.tokens;
    this.view.cut();
    this.view.node.lang = languageOf(text);
    this.view.node.hidden = !text;
    this.empty.hidden = Boolean(text);
    this.sheet.classList.toggle("verse", isVerse(text));
    const letters = [...text]; // the service counts code points, a string UTF-16 units
    let end = 0;
    for (const token of result.tokens) {
      this.view.add(letters.slice(end, token.end).join(""), { // with the spaces before it, which belong to no token
        class: token.unknown ? "token unknown" : "token",
        "data-level": level(token),
      });
      end = token.end;
    }
    this.report(model, result);
  }

  report(model, result) {
    this.found.hidden = !result.num_tokens;
    const rows = [
      ["surprise.perplexity", result.perplexity === null ? "–" : figure(result.perplexity ?? 0)],
      ["surprise.bits", figure(result.bits_per_character ?? 0)],
      ["surprise.tokens", count(result.num_tokens)],
      ["surprise.unknown", count(result.num_unknown)],
      ["surprise.by", model],
    ];
    this.figures.replaceChildren(
      ...rows.map(([words, value]) => element("div", {}, element("dt", { words }), element("dd", {}, value))),
    );
    const words = this.tokens.map((token, index) => ({ token, index })).filter(({ token }) => /[\p{L}\p{N}]/u.test(token.token));
    const ordered = words.sort((a, b) => a.token.logprob - b.token.logprob);
    this.hardest.replaceChildren(...ordered.slice(0, NUM_HARDEST).map((each) => this.hard(each)));
  }

  /** A hard word, which leads to where it stands in the text. */
  hard({ token, index }) {
    const button = element("button", { type: "button", class: "row" });
    button.append(
      element("span", { class: "word", lang: languageOf(token.token) }, visible(token.token)),
      element("span", { class: "number", words: "surprise.some-bits", values: { bits: bits(token.logprob).toFixed(1) } }),
    );
    button.addEventListener("click", () => this.view.spans[index].focus());
    return element("li", {}, button);
  }
}

/** Return a token's shade: 0 for what was expected, 8 for what was not at all. */
function level(token) {
  return Math.min(8, Math.round((8 * bits(token.logprob)) / MOST_BITS));
}

function explain(token) {
  const rows = [
    ["surprise.probability", percent(Math.exp(token.logprob))],
    ["surprise.rank", count(token.rank)],
  ];
  const inBits = element("dd", { words: "surprise.some-bits", values: { bits: bits(token.logprob).toFixed(1) } });
  const list = element(
    "dl",
    { class: "figures" },
    ...rows.map(([words, value]) => element("div", {}, element("dt", { words }), element("dd", {}, value))),
    element("div", {}, element("dt", { words: "surprise.surprise" }), inBits),
  );
  return token.unknown ? [list, element("p", { class: "small", words: "surprise.is-unknown" })] : [list];
}

function legend() {
  const shades = Array.from({ length: 9 }, (_, step) => element("span", { class: "shade", "data-level": step }));
  const scale = element("span", { class: "scale", "aria-hidden": "true" }, ...shades);
  const unknown = element("span", { class: "unknown", words: "surprise.unknown-mark" });
  return element(
    "p",
    { class: "legend" },
    element("span", { words: "surprise.least" }),
    scale,
    element("span", { words: "surprise.most" }),
    unknown,
  );
}
