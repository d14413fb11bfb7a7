// The words of the page, in its language. Every node keeps the key of its words, so that all can change.
import { WORDS } from "./words.js";

/** Translate a key: its words, with values for {names}. */
export function translated(key, values = {}) {
  const text = WORDS[key]?.[document.documentElement.lang];
  if (text === undefined) throw new Error(`words.js has no ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Show a translation in a node, in this language and in the next. */
export function put(node, key, values = {}) {
  node.dataset.words = key;
  node.dataset.values = JSON.stringify(values);
  node.textContent = translated(key, values);
}

/** Translate everything in a part of the page. */
export function translate(root) {
  for (const node of root.querySelectorAll("[data-words]")) {
    node.textContent = translated(node.dataset.words, JSON.parse(node.dataset.values ?? "{}"));
  }
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", translated(node.dataset.label, JSON.parse(node.dataset.values ?? "{}")));
  }
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = translated(node.dataset.hint);
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
