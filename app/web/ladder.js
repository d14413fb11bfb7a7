// The ladder of language models: test perplexity against parameters, ours and those in print.
import { element } from "./dom.js";
import { figure, millions } from "./numbers.js";
import { Plot } from "./plot.js";

const LINE = 14;
const LETTER = 6.6; // as wide as one is on average, or wider
const GAP = 9;
const MARK = 6; // half of one, and a little air
const TIGHT = 560;

/** Draw one corpus in a width of pixels. */
export function drawLadder({ title, runs, published }, width) {
  const own = runs.filter((run) => run.parameters && run.test);
  const levels = runs.filter((run) => !run.parameters && run.test);
  const sizes = [...own, ...published].map(({ parameters }) => parameters / 1e6);
  const tests = [...runs, ...published].map(({ test }) => test).filter(Boolean);
  const plot = new Plot({
    width,
    height: width < TIGHT ? 460 : 360,
    x: { from: Math.min(5, ...sizes) / 1.4, to: Math.max(20, ...sizes) * 4, isLog: true, words: "models.size", show: plain },
    y: { from: Math.min(...tests) / 1.15, to: Math.max(...tests) * 1.15, isLog: true, words: "models.test-perplexity" },
    title: "models.ladder-of",
    about: "models.ladder-about",
    values: { corpus: title, best: figure(Math.min(...runs.map(({ test }) => test ?? Infinity))) },
    sides: { right: 20 },
  });
  for (const run of levels) drawLevel(plot, run);
  const labels = [...own.map((run) => drawOwn(plot, run)), ...published.map((each) => drawPublished(plot, each))];
  apart(labels);
  return plot.node;
}

function plain(value) {
  return `${value}M`;
}

function drawLevel(plot, { name, test }) {
  const { left, right } = plot.box;
  const at = plot.y(test);
  plot.add("line", { class: "level", x1: left, x2: right, y1: at, y2: at });
  plot.add("text", { class: "value quiet", x: right, y: at - 6, "text-anchor": "end" }, `${name} ${figure(test)}`);
}

function drawOwn(plot, { name, parameters, test }) {
  const [x, y] = [plot.x(parameters / 1e6), plot.y(test)];
  plot.add("circle", { class: "own", cx: x, cy: y, r: 5 });
  return label(plot, "value", x, y, `${name} ${figure(test)}`);
}

function drawPublished(plot, { source, parameters, test }) {
  const [x, y] = [plot.x(parameters / 1e6), plot.y(test)];
  plot.add("path", { class: "published", d: `M${x - 5} ${y}L${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}Z` });
  return label(plot, "value quiet", x, y, `${figure(test)} ${source}`);
}

/** Write beside a mark: to the right, where there is room. */
function label(plot, name, x, y, text) {
  const width = text.length * LETTER;
  const isLeft = x + GAP + width > plot.box.right;
  const node = plot.add("text", { class: name, x: isLeft ? x - GAP : x + GAP, "text-anchor": isLeft ? "end" : "start" }, text);
  const left = isLeft ? x - GAP - width : x + GAP;
  const mark = { left: x - MARK, right: x + MARK, y, half: MARK - 2 };
  return { node, left, right: left + width, y, half: LINE / 2, mark };
}

/** Keep labels from standing on marks and on one another: each is moved up or down, as little as will do. */
function apart(labels) {
  const taken = labels.map(({ mark }) => mark);
  for (const each of labels.sort((one, other) => other.y - one.y)) {
    const { y } = each;
    for (let shift = 1; taken.some((other) => covers(each, other)); shift++) each.y = y + (shift % 2 ? -shift : shift) / 2;
    each.node.setAttribute("y", each.y + 4);
    taken.push(each);
  }
}

function covers(one, other) {
  return one.left < other.right && other.left < one.right && Math.abs(one.y - other.y) < one.half + other.half;
}

/** Return the same figures as a table. */
export function tableOfLadder({ runs, published }) {
  const head = ["models.recipe", "models.parameters", "models.validation", "models.test", "models.in-print"];
  const cells = (values) => values.map((value, index) => element(index ? "td" : "th", index ? {} : { scope: "row" }, value));
  const or = (value, show) => (value ? show(value) : "–");
  const ours = runs.map((run) =>
    cells([run.name, or(run.parameters, millions), or(run.validation, figure), or(run.test, figure), run.published ?? "–"]),
  );
  const others = published.map((each) => cells([each.source, millions(each.parameters), "–", figure(each.test), "–"]));
  const row = (each) => element("tr", {}, ...each);
  return element(
    "table",
    {},
    element("thead", {}, row(head.map((words) => element("th", { scope: "col", words })))),
    element("tbody", {}, ...[...ours, ...others].map(row)),
  );
}
