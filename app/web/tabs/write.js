// Write: a text that goes on from a prompt, token by token, each with what could have stood there.
import { choicesOf, choicesTable } from "../alternatives.js";
import { element, examples, field, languageOf } from "../dom.js";
import { Tooltip } from "../tooltip.js";
import { count, duration } from "../numbers.js";
import { Pace } from "../pace.js";
import { Notice, listen } from "../service.js";
import { makeSettings } from "../settings.js";
import { TokenText } from "../tokens.js";
import { entriesOf, isVerse } from "../writing.js";

const EXAMPLES = ["《静夜思》\n", "床前明月光，", "The river flows through the", "In 1910 the ship was"];
const END = "<eos>";
const AFTER_PAUSE = /(?<=[，、；])/u;

/** Name what ends half a line of verse: where lines are narrow they break there. */
function pauses(text) {
  return AFTER_PAUSE.test(text) ? "pause" : "";
}

export const write = {
  name: "write",
  build: (panel) => new Writer(panel),
};

class Writer {
  constructor(panel) {
    this.notice = new Notice();
    this.settings = makeSettings(this.notice);
    this.pace = new Pace((entry) => this.append(entry));
    this.text = new TokenText(new Tooltip("write-tooltip"), {
      label: "write.text",
      explain: (index) => this.explain(index),
      act: (index, key) => this.take(index, this.entries[index].choices[Number(key) - 1]),
    });
    this.makeControls();
    this.makeSheet();
    const left = element("div", { class: "column" }, this.controls, this.notice.node, this.sheet);
    panel.append(element("div", { class: "desktop" }, left, this.settings.node));
    this.begin("");
  }

  makeControls() {
    this.prompt = element("textarea", { rows: 2, hint: "write.hint", class: "script", spellcheck: "false" });
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.start();
    });
    this.go = element("button", { type: "button", class: "primary", words: "write.go", on: { click: () => this.start() } });
    this.stop = element("button", { type: "button", words: "write.stop", disabled: true });
    this.stop.addEventListener("click", () => {
      this.abort();
      this.summary.replaceChildren(element("span", { words: "write.stopped" }));
    });
    const offer = examples(EXAMPLES, (text) => {
      this.prompt.value = text;
      this.start();
    });
    const buttons = element("div", { class: "buttons" }, this.go, this.stop);
    this.controls = element("div", { class: "stack" }, field("write.prompt", this.prompt), offer, buttons);
  }

  makeSheet() {
    this.before = element("span", { class: "before" });
    this.empty = element("p", { class: "empty", words: "write.empty" });
    this.summary = element("p", { class: "status", role: "status" });
    this.sheet = element("article", { class: "sheet" }, this.empty, this.text.node, this.summary);
  }

  /** Clear the sheet for a new text. */
  begin(prompt) {
    this.asked = prompt;
    this.entries = [];
    this.text.cut();
    this.before.replaceChildren(...prompt.split(AFTER_PAUSE).map((part) => element("span", { class: pauses(part) }, part)));
    this.text.node.prepend(this.before);
    this.text.node.lang = languageOf(prompt);
    this.summary.replaceChildren();
    this.text.node.hidden = !prompt;
    this.empty.hidden = Boolean(prompt);
    this.setAsVerse();
  }

  async start() {
    this.abort();
    this.begin(this.prompt.value);
    await this.goOn(this.asked, this.settings.values());
  }

  /** Write on after a text, until the end or a stop; what is there stays, whatever happens. */
  async goOn(prompt, values) {
    this.notice.clear();
    const own = new AbortController();
    this.request = own;
    this.setBusy(true);
    try {
      const body = { prompt, ...values, stream: true, logprobs: 5 };
      await this.hear(listen("generate", body, own.signal), own.signal);
    } catch (error) {
      if (!own.signal.aborted) this.notice.show(error);
    } finally {
      if (this.request === own) this.setBusy(false);
    }
  }

  async hear(events, signal) {
    const started = performance.now();
    let end;
    for await (const event of events) {
      if (event.usage) end = { ...event, milliseconds: performance.now() - started };
      else this.pace.push(...entriesOf(event));
    }
    await this.pace.whenDone();
    if (!signal.aborted) this.report(end);
  }

  append(entry) {
    this.empty.hidden = true;
    this.text.node.hidden = false;
    entry.choices = choicesOf(entry);
    this.entries.push(entry);
    const isEnd = entry.token === END;
    this.text.add(entry.text, isEnd ? { class: "token end", "aria-label": END } : { class: `token ${pauses(entry.text)}` });
    this.setAsVerse();
  }

  setAsVerse() {
    const text = this.asked + this.entries.map((entry) => entry.text).join("");
    this.text.node.lang = languageOf(text);
    this.sheet.classList.toggle("verse", isVerse(text));
  }

  explain(index) {
    const table = choicesTable(this.entries[index], (choice) => this.take(index, choice));
    return [table, element("p", { class: "small", words: "write.take" })];
  }

  /** Replace a token by another, and write on from there. */
  async take(index, choice) {
    if (!choice) return;
    this.abort();
    const entry = this.entries[index];
    this.entries.length = index;
    this.text.cut(index);
    const space = entry.text.startsWith(" ") || !entry.token.startsWith(" ") ? "" : " ";
    const text = choice.token === END ? "" : choice.token.slice(space.length);
    this.append({ ...entry, text, token: choice.token, logprob: choice.logprob });
    this.text.spans.at(-1).focus();
    if (choice.token === END) return;
    await this.goOn(this.asked + this.entries.map((each) => each.text).join(""), this.settings.values());
  }

  report({ model, seed, usage, milliseconds }) {
    const values = { tokens: count(usage.completion_tokens), time: duration(milliseconds), model, seed };
    const again = element("button", { type: "button", class: "link", words: "write.again" });
    again.addEventListener("click", () => this.settings.keepSeed(seed));
    this.summary.replaceChildren(element("span", { words: "write.summary", values }), again);
  }

  abort() {
    this.request?.abort();
    this.pace.drop();
    this.setBusy(false);
  }

  setBusy(isBusy) {
    this.stop.disabled = !isBusy;
    this.sheet.setAttribute("aria-busy", isBusy);
  }
}
