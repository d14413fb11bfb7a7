// How a model learned: its validation by step, and for language models the training text beside it.
import { element } from "./dom.js";
import { count, figure, percent } from "./numbers.js";
import { Plot } from "./plot.js";

const SIZE = { width: 360, height: 210 };

/** Draw an answer of /models/NAME/learning-curve; nothing where no log was kept. */
export function drawLearningCurve({ training, validation }) {
  if (!validation.length) return null;
  const isPerplexity = validation[0].name === "perplexity";
  const measured = validation.map(({ step, value }) => [step, value]);
  const seen = isPerplexity ? training.map(({ step, loss }) => [step, Math.exp(loss)]) : [];
  const plot = new Plot({ ...SIZE, ...axesOf(measured, seen, isPerplexity), ...wordsOf(measured, isPerplexity) });
  if (seen.length) plot.line("line faint", seen);
  plot.line("line", measured);
  for (const [step, value] of measured) plot.add("circle", { class: "dot", cx: plot.x(step), cy: plot.y(value), r: 2.5 });
  const [step, value] = measured.at(-1);
  const shown = isPerplexity ? figure(value) : percent(value);
  plot.add("text", { class: "value", x: plot.x(step), y: plot.y(value) - 9, "text-anchor": "end" }, shown);
  return element("figure", {}, plot.node, key(seen.length > 0));
}

function axesOf(measured, seen, isPerplexity) {
  const values = [...measured, ...seen].map(([, value]) => value);
  const last = Math.max(...[...measured, ...seen].map(([step]) => step));
  const x = { from: 0, to: last, words: "models.step" };
  if (isPerplexity) {
    const y = { from: Math.min(...values) / 1.15, to: Math.max(...values) * 1.1, isLog: true, words: "models.perplexity" };
    return { x, y };
  }
  const spread = Math.max(0.05, Math.max(...values) - Math.min(...values));
  const from = Math.max(0, Math.min(...values) - 0.1 * spread);
  const y = { from, to: Math.min(1, Math.max(...values) + 0.25 * spread), words: "models.accuracy", show: wholePercent };
  return { x, y };
}

function wordsOf(measured, isPerplexity) {
  const show = isPerplexity ? figure : percent;
  const values = { first: show(measured[0][1]), last: show(measured.at(-1)[1]), steps: count(measured.at(-1)[0]) };
  const about = isPerplexity ? "models.curve-perplexity" : "models.curve-accuracy";
  return { title: "models.curve", about, values };
}

function wholePercent(value) {
  return `${Math.round(100 * value)} %`;
}

function key(hasTraining) {
  const entry = (name, words) => element("span", {}, element("i", { class: name }), element("span", { words }));
  const entries = [entry("stroke", "models.validation")];
  if (hasTraining) entries.push(entry("stroke faint", "models.training-text"));
  return element("figcaption", { class: "key" }, ...entries);
}
