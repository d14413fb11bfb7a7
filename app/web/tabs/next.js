// Next word: bars of the likeliest next words, which change with every key.
import { bar } from "../alternatives.js";
import { element, examples, field } from "../dom.js";
import { put } from "../language.js";
import { duration, percent, roundedFigure } from "../numbers.js";
import { LANGUAGE_MODELS, Notice, offerModels } from "../service.js";
import { TypedSession, withWord } from "../session.js";
import { visible } from "../tokens.js";

const EXAMPLES = ["The capital of the United ", "He was born in ", "举头望明"];
const NUM_BARS = 9;

export const next = {
  name: "next",
  build: (panel) => new Keyboard(panel),
};

class Keyboard {
  constructor(panel) {
    this.notice = new Notice();
    this.predictions = [];
    this.session = new TypedSession();
    window.addEventListener("pagehide", () => this.session.leave());
    this.makeText();
    this.bars = Array.from({ length: NUM_BARS }, (_, index) => this.makeBar(index));
    const list = element("ol", { class: "bars", label: "next.bars" }, ...this.bars.map((each) => each.item));
    list.addEventListener("keydown", (event) => this.takeByKey(event));
    this.summary = element("p", { class: "status" });
    const sheet = element("article", { class: "sheet" }, list, this.summary);
    const left = element("div", { class: "column" }, this.controls, this.notice.node, sheet);
    panel.append(element("div", { class: "desktop" }, left, this.makeMargin()));
    this.fill(EXAMPLES[0]);
  }

  makeText() {
    this.text = element("textarea", { rows: 3, class: "script", hint: "next.hint", spellcheck: "false" });
    this.text.addEventListener("input", () => this.predict());
    this.text.addEventListener("keydown", (event) => this.numbers.checked && this.takeByKey(event));
    const offer = examples(EXAMPLES, (text) => this.fill(text));
    this.controls = element("div", { class: "stack" }, field("next.text", this.text), offer);
  }

  makeMargin() {
    this.model = element("select", { on: { change: () => this.predict() } });
    offerModels(this.model, LANGUAGE_MODELS).then(
      (models) => {
        this.models = models;
        this.predict();
      },
      (error) => this.notice.show(error),
    );
    this.numbers = element("input", { type: "checkbox", id: "next-numbers", checked: true });
    const label = element("label", { for: "next-numbers", words: "next.numbers" });
    const box = element("div", { class: "tick" }, this.numbers, label);
    const small = element("p", { class: "small", words: "next.how" });
    return element("aside", { class: "margin stack", label: "next.settings" }, field("next.model", this.model), box, small);
  }

  makeBar(index) {
    const word = element("span", { class: "word" });
    const number = element("span", { class: "number" });
    const drawn = bar(0);
    const button = element("button", { type: "button", class: "row" }, element("kbd", {}, String(index + 1)), word, drawn, number);
    button.addEventListener("click", () => this.take(index));
    const item = element("li", { hidden: true }, button);
    return { item, word, number, filled: drawn.firstChild };
  }

  fill(text) {
    this.text.value = text;
    this.predict();
  }

  /** Predict what follows the text as it is; while one answer is awaited, only the latest text counts. */
  async predict() {
    this.isAsked = true;
    if (this.isBusy || !this.models) return;
    this.isBusy = true;
    try {
      while (this.isAsked) {
        this.isAsked = false;
        await this.predictOnce();
      }
    } catch (error) {
      this.notice.show(error);
    } finally {
      this.isBusy = false;
    }
  }

  async predictOnce() {
    const { value } = this.text;
    if (!value) return this.show([]);
    const answer = await this.session.next(value, this.chosenModel(value), NUM_BARS);
    this.notice.clear();
    this.show(answer.predictions);
    const values = {
      time: duration(answer.milliseconds),
      model: answer.model,
      words: roundedFigure(Math.exp(answer.entropy)),
    };
    put(this.summary, "next.summary", values);
  }

  /** Find the model to ask: the one that was chosen, or the first of the text's language, as the service does. */
  chosenModel(text) {
    const language = /\p{Script=Han}/u.test(text) ? "zh" : "en";
    const named = this.models.find((model) => model.name === this.model.value);
    return named ?? this.models.find((model) => model.language === language) ?? this.models[0];
  }

  show(predictions) {
    this.predictions = predictions;
    this.bars.forEach(({ item, word, number, filled }, index) => {
      const found = predictions[index];
      item.hidden = !found;
      if (!found) return;
      word.textContent = visible(found.token);
      number.textContent = percent(found.probability);
      filled.style.width = `${100 * found.probability}%`;
    });
    this.summary.hidden = !predictions.length;
  }

  takeByKey(event) {
    const isDigit = /^[1-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.isComposing;
    if (!isDigit || !this.predictions[event.key - 1]) return;
    event.preventDefault();
    this.take(event.key - 1);
  }

  take(index) {
    const model = this.chosenModel(this.text.value);
    this.text.value = withWord(this.text.value, this.predictions[index].token, model);
    this.predict();
  }
}
