// A drawing with two axes: hairlines and words, as in a printed book.
import { element, svg } from "./dom.js";
import { count } from "./numbers.js";

const SIDES = { left: 44, right: 14, top: 24, bottom: 36 };

/** Return a frame whose drawing is made, by `draw(width)`, for the width that there is: letters keep their size. */
export function fitted(draw) {
  const frame = element("div", { class: "drawing" });
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width) frame.replaceChildren(draw(Math.round(contentRect.width)));
  }).observe(frame);
  return frame;
}

function scale({ from, to, isLog }, start, end) {
  const by = isLog ? Math.log : (value) => value;
  return (value) => start + ((by(value) - by(from)) / (by(to) - by(from))) * (end - start);
}

/** Return round numbers between two: 1, 2, 5 times powers of ten where the axis is logarithmic, else even steps. */
export function ticksOf({ from, to, isLog }, most = 6) {
  if (!isLog) {
    const rough = (to - from) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    const first = Math.ceil(from / step) * step;
    return Array.from({ length: Math.floor((to - first) / step + 1e-9) + 1 }, (_, i) => first + i * step);
  }
  const powers = [0.1, 1, 10, 100, 1000, 10000, 100000];
  const found = (factors) => powers.flatMap((p) => factors.map((f) => f * p)).filter((v) => v >= from && v <= to);
  const fine = found([1, 1.5, 2, 3, 4, 5, 6, 8]);
  return fine.length <= most ? fine : found([1, 2, 5]);
}

/**
 * A plot of a width and height. `x` and `y` are axes: {from, to, isLog, words, show}; `title` and `about` are keys of
 * words for those who cannot see it, and `values` fill them.
 */
export class Plot {
  constructor({ width, height, x, y, title, about, values, sides = {} }) {
    const { left, right, top, bottom } = { ...SIDES, ...sides };
    this.box = { left, right: width - right, top, bottom: height - bottom };
    this.x = scale(x, left, width - right);
    this.y = scale(y, height - bottom, top);
    const id = `plot-${(Plot.made = (Plot.made ?? 0) + 1)}`;
    this.node = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img" });
    this.node.setAttribute("aria-labelledby", `${id}-title ${id}-about`);
    this.node.append(svg("title", { id: `${id}-title`, words: title, values }));
    this.node.append(svg("desc", { id: `${id}-about`, words: about, values }));
    this.drawAxes(x, y);
  }

  drawAxes(x, y) {
    const { left, right, top, bottom } = this.box;
    const show = (axis, value) => (axis.show ?? count)(value);
    for (const value of ticksOf(y)) {
      const at = this.y(value);
      this.add("line", { class: "grid", x1: left, x2: right, y1: at, y2: at });
      this.add("text", { class: "tick", x: left - 7, y: at + 4, "text-anchor": "end" }, show(y, value));
    }
    for (const value of ticksOf(x, 5)) {
      const at = this.x(value);
      this.add("line", { class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 4 });
      this.add("text", { class: "tick", x: at, y: bottom + 17, "text-anchor": "middle" }, show(x, value));
    }
    this.add("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
    this.add("text", { class: "name", x: 2, y: top - 11, words: y.words });
    this.add("text", { class: "name", x: right, y: bottom + 32, "text-anchor": "end", words: x.words });
  }

  add(tag, attributes, ...children) {
    const node = svg(tag, attributes, ...children);
    this.node.append(node);
    return node;
  }

  /** Draw a line through points of [x, y]. */
  line(name, points) {
    const pairs = points.map(([x, y]) => `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`);
    return this.add("polyline", { class: name, points: pairs.join(" ") });
  }
}
