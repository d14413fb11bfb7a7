// What the page says, in the language that it is in. Every node keeps the key of its words, so that all can change.
import { WORDS } from "./words.js";

/** Translate a key: its words, with values in the places of {names}. */
export function say(key, values = {}) {
  const text = WORDS[key]?.[document.documentElement.lang];
  if (text === undefined) throw new Error(`words.js has no ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Show a translation in a node, in this language and in the next. */
export function put(node, key, values = {}) {
  node.dataset.words = key;
  node.dataset.values = JSON.stringify(values);
  node.textContent = say(key, values);
}

/** Translate everything in a part of the page. */
export function translate(root) {
  for (const node of root.querySelectorAll("[data-words]")) {
    node.textContent = say(node.dataset.words, JSON.parse(node.dataset.values ?? "{}"));
  }
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", say(node.dataset.label, JSON.parse(node.dataset.values ?? "{}")));
  }
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = say(node.dataset.hint);
}

/** Change the language, and remember it. */
export function speak(language) {
  document.documentElement.lang = language;
  keep("refrain.language", language);
  translate(document);
}

/** Remember a choice, where the browser keeps anything. */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // not remembered then
  }
}
