// Sentiment: a review's stars, as soon as it is written.
import { bar } from "../alternatives.js";
import { element, examples, field, svg } from "../dom.js";
import { WORDS } from "../words.js";
import { put } from "../language.js";
import { percent } from "../numbers.js";
import { Notice, ask } from "../service.js";

const EXAMPLES = [
  "A lovely film with lovely performances.",
  "Not as bad as the trailer, but far too long.",
  "房间干净，服务热情，下次还会来。",
  "书的内容一般，印刷太差。",
];
const PAUSE_MS = 250;
const STAR = "M12 1.8l3.1 6.6 7.1.9-5.2 5 1.3 7.1L12 17.9l-6.3 3.5L7 14.3l-5.2-5 7.1-.9z";

export const sentiment = {
  name: "sentiment",
  build: (panel) => new Critic(panel),
};

class Critic {
  constructor(panel) {
    this.notice = new Notice();
    this.text = element("textarea", { rows: 5, class: "script", hint: "sentiment.hint", spellcheck: "false" });
    this.text.addEventListener("input", () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => this.judge(), PAUSE_MS);
    });
    const offer = examples(EXAMPLES, (text) => {
      this.text.value = text;
      this.judge();
    });
    this.verdict = element("article", { class: "sheet verdict", "aria-live": "polite" });
    this.empty = element("p", { class: "empty", words: "sentiment.empty" });
    this.verdict.append(this.empty);
    const controls = element("div", { class: "stack" }, field("sentiment.text", this.text), offer);
    const left = element("div", { class: "column" }, controls, this.notice.node, this.verdict);
    panel.append(element("div", { class: "desktop" }, left, this.makeMargin()));
  }

  makeMargin() {
    const option = (value) => element("option", { value, words: `sentiment.language-${value || "auto"}` });
    this.language = element("select", { on: { change: () => this.judge() } }, ...["", "en", "zh"].map(option));
    const small = element("p", { class: "small", words: "sentiment.how" });
    return element("aside", { class: "margin stack", label: "sentiment.settings" }, field("sentiment.language", this.language), small);
  }

  async judge() {
    const text = this.text.value;
    this.latest?.abort();
    if (!text.trim()) {
      this.verdict.replaceChildren(this.empty);
      return;
    }
    this.latest = new AbortController();
    const { signal } = this.latest;
    const body = { text, ...(this.language.value && { language: this.language.value }) };
    try {
      const { results } = await ask("sentiment", body, { signal });
      this.notice.clear();
      this.show(results[0]);
    } catch (error) {
      if (!signal.aborted) this.notice.show(error);
    }
  }

  show({ label, probabilities, stars, model }) {
    const name = element("p", { class: "label" });
    showClass(name, label);
    const rows = Object.entries(probabilities).map(([each, probability]) => {
      const word = element("span", { class: "word" });
      showClass(word, each);
      const number = element("span", { class: "number" }, percent(probability));
      return element("li", { class: each === label ? "row chosen" : "row" }, word, bar(probability), number);
    });
    const list = element("ul", { class: "classes", label: "sentiment.classes" }, ...rows);
    const by = element("p", { class: "status", words: "sentiment.by", values: { model } });
    this.verdict.replaceChildren(drawStars(stars), name, list, by);
  }
}

/** Translate a class in the page's language, where its name is known. */
function showClass(node, label) {
  const key = `sentiment.class-${label.replaceAll(" ", "-")}`;
  if (key in WORDS) put(node, key);
  else node.textContent = label;
}

function drawStars(stars) {
  const row = element("div", { class: "stars" });
  const drawing = svg("svg", { viewBox: "0 0 128 24", "aria-hidden": "true" });
  const clip = svg("clipPath", { id: "stars-filled" });
  // Each star is 24 wide, and 2 lie between two: the fill ends within the star that it reaches.
  const reached = Math.floor(stars) * 26 + (stars % 1) * 24;
  clip.append(svg("rect", { x: 0, y: 0, width: reached, height: 24 }));
  const five = (name) => Array.from({ length: 5 }, (_, index) => svg("path", { class: name, d: STAR, transform: `translate(${26 * index})` }));
  drawing.append(clip, svg("g", {}, ...five("hollow")), svg("g", { "clip-path": "url(#stars-filled)" }, ...five("full")));
  row.append(drawing, element("span", { class: "reading", words: "sentiment.stars", values: { stars: stars.toFixed(1) } }));
  return row;
}
