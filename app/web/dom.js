// Nodes, made in one line each.
import { put, translated } from "./language.js";

/**
 * Make an element. `words`, `label` and `hint` are keys of words.js for its text, accessible name and placeholder;
 * `values` fill them; `on` holds listeners; everything else is an attribute, and true is one without a value.
 */
export function element(tag, { words, label, hint, values, on = {}, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  decorate(node, attributes, on);
  if (values) node.dataset.values = JSON.stringify(values);
  if (words) put(node, words, values);
  if (label) {
    node.dataset.label = label;
    node.setAttribute("aria-label", translated(label, values));
  }
  if (hint) {
    node.dataset.hint = hint;
    node.placeholder = translated(hint);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Make an element of a drawing. */
export function svg(tag, { words, values, on = {}, ...attributes } = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  decorate(node, attributes, on);
  if (words) put(node, words, values);
  node.append(...children);
  return node;
}

function decorate(node, attributes, listeners) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const [event, listener] of Object.entries(listeners)) node.addEventListener(event, listener);
}

/** Make a labelled control: the label stands above, the control is found by it. */
export function field(words, control, ...more) {
  control.id ||= `field-${words.replaceAll(".", "-")}`;
  const label = element("label", { for: control.id, words });
  return element("div", { class: "field" }, label, control, ...more);
}

/** Make a row of buttons that fill in an example. */
export function examples(texts, take) {
  const buttons = texts.map((text) => {
    const button = element("button", { type: "button", class: "example", lang: languageOf(text) });
    button.textContent = text.trim();
    button.addEventListener("click", () => take(text));
    return button;
  });
  const heading = element("span", { words: "page.examples", class: "small" });
  return element("div", { class: "examples" }, heading, ...buttons);
}

/** Return a text's language by its script. */
export function languageOf(text) {
  return /\p{Script=Han}/u.test(text) ? "zh" : "en";
}
