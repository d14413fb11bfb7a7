// A text whose tokens can be explained one by one: by pointer, by finger, and with the arrow keys.
import { element } from "./dom.js";
import { translated } from "./language.js";

/** What a token looks like on its own. */
export function visible(token) {
  if (token === "<eos>") return translated("token.end");
  return token.replaceAll("\n", "↵").trim() || "␣";
}

/**
 * The tokens of a text. The group is one stop of the Tab key; arrows go from token to token.
 *
 * `explain(index)` gives the nodes of a token's tooltip, and `act(index, key)` hears the other keys pressed on it.
 */
export class TokenText {
  constructor(tooltip, { label, explain, act = () => {} }) {
    this.node = element("div", { class: "tokens", role: "group", label });
    this.tooltip = tooltip;
    this.explain = explain;
    this.spans = [];
    for (const event of ["pointerover", "focusin", "click"]) {
      this.node.addEventListener(event, (happened) => this.showTooltip(happened.target));
    }
    this.node.addEventListener("pointerleave", () => this.isFocused() || tooltip.leave());
    this.node.addEventListener("focusout", () => tooltip.leave());
    this.node.addEventListener("keydown", (event) => this.walk(event, act));
  }

  isFocused() {
    return this.node.contains(document.activeElement);
  }

  add(text, attributes = {}) {
    const span = element("span", { class: "token", role: "button", tabindex: -1, ...attributes });
    span.setAttribute("aria-describedby", this.tooltip.node.id);
    if (text === "\n") {
      span.classList.add("break");
      span.setAttribute("aria-label", "↵");
    }
    const word = /^ /.test(text) ? text.trimStart() || text : text;
    span.append(word);
    span.blank = document.createTextNode(text.slice(0, text.length - word.length)); // belongs to the token, unmarked
    if (!this.spans.length) span.tabIndex = 0;
    this.spans.push(span);
    this.node.append(span.blank, span);
    return span;
  }

  /** Keep so many tokens. */
  cut(length = 0) {
    this.tooltip.hide();
    for (const span of this.spans.splice(length)) {
      span.blank.remove();
      span.remove();
    }
  }

  showTooltip(target) {
    const span = target.closest?.(".token");
    if (!span) return;
    this.tooltip.show(span, ...this.explain(this.spans.indexOf(span)));
  }

  walk(event, act) {
    const index = this.spans.indexOf(event.target);
    const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: this.spans.length - 1 };
    const next = this.spans[steps[event.key]];
    if (!next) {
      act(index, event.key);
      return;
    }
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
