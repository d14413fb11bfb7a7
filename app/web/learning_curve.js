// How a model learned: its validation by step, and for language models the training text beside it.
import { element } from "./dom.js";
import { count, figure, percent } from "./numbers.js";
import { Plot, fitted } from "./plot.js";

const HEIGHT = 220;
const AROUND = 3;

/** Show an answer of /models/NAME/learning-curve in which something was measured. */
export function showLearningCurve({ training, validation }) {
  const isPerplexity = validation[0].name === "perplexity";
  const measured = validation.map(({ step, value }) => [step, value]);
  const seen = isPerplexity ? smoothed(training.map(({ step, loss }) => [step, Math.exp(loss)])) : [];
  const drawing = fitted((width) => draw(measured, seen, isPerplexity, width));
  return element("figure", {}, drawing, key(seen.length > 0));
}

/** Take the median of each point's neighbours: a step may have read a few words only. */
function smoothed(points) {
  return points.map(([x], index) => {
    const near = points.slice(Math.max(0, index - AROUND), index + AROUND + 1).map(([, y]) => y);
    return [x, near.sort((one, other) => one - other)[near.length >> 1]];
  });
}

function draw(measured, seen, isPerplexity, width) {
  const axes = axesOf(measured, seen, isPerplexity);
  const plot = new Plot({ width, height: HEIGHT, ...axes, ...wordsOf(measured, isPerplexity) });
  if (seen.length) plot.line("line faint", seen);
  plot.line("line", measured);
  for (const [step, value] of measured) plot.add("circle", { class: "dot", cx: plot.x(step), cy: plot.y(value), r: 2.5 });
  const [step, value] = measured.at(-1);
  const shown = isPerplexity ? figure(value) : percent(value);
  plot.add("text", { class: "value", x: plot.x(step), y: plot.y(value) - 9, "text-anchor": "end" }, shown);
  return plot.node;
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
