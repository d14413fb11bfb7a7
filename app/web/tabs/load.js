// Load: what runs and waits now, asked for once a second while anybody looks.
import { element, svg } from "../dom.js";
import { put } from "../language.js";
import { count, duration } from "../numbers.js";
import { Notice, ServiceError, ask } from "../service.js";

const EVERY_MS = 1000;
const NUM_KEPT = 60;

export const load = {
  name: "load",

  build(panel) {
    this.notice = new Notice();
    this.state = element("p", { class: "status", words: "load.asking" });
    this.totals = element("dl", { class: "totals" });
    this.rows = new Map();
    this.list = element("div", { class: "cards" });
    panel.append(this.totals, this.notice.node, this.list, this.state);
  },

  show() {
    this.isSeen = true;
    this.follow();
  },

  hide() {
    this.isSeen = false;
    clearTimeout(this.timer);
  },

  /** Ask, and again in a second; not while the whole page is out of sight. */
  async follow() {
    clearTimeout(this.timer);
    if (!this.isSeen || (!document.hidden && !(await this.askOnce()))) return;
    clearTimeout(this.timer);
    if (this.isSeen) this.timer = setTimeout(() => this.follow(), EVERY_MS);
  },

  /** Return whether it is worth asking again. */
  async askOnce() {
    try {
      const answer = await ask("load");
      this.notice.clear();
      this.update(answer);
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) {
        put(this.state, "load.missing");
        return false;
      }
      this.notice.show(error);
    }
    return true;
  },

  update({ status, uptime_seconds: uptime, models }) {
    const sum = (name) => models.reduce((total, model) => total + model[name], 0);
    const totals = [
      ["load.running", count(sum("num_running"))],
      ["load.waiting", count(sum("num_waiting"))],
      ["load.speed", count(sum("tokens_per_second"))],
    ];
    this.totals.replaceChildren(
      ...totals.map(([words, value]) => element("div", {}, element("dt", { words }), element("dd", {}, value))),
    );
    for (const model of models) this.row(model.model).update(model);
    put(this.state, "load.status", { status, uptime: lasting(uptime) });
  },

  row(name) {
    if (!this.rows.has(name)) {
      const row = new ModelLoad(name);
      this.rows.set(name, row);
      this.list.append(row.node);
    }
    return this.rows.get(name);
  },
};

function lasting(seconds) {
  if (seconds < 60) return duration(1000 * seconds);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min`;
}

/** One model's slots, queue and speed, with its last minute drawn. */
class ModelLoad {
  constructor(name) {
    this.history = [];
    this.line = svg("polyline", { class: "line" });
    const drawing = svg("svg", { viewBox: "0 0 240 48", preserveAspectRatio: "none", "aria-hidden": "true" }, this.line);
    this.slots = meter("load.slots");
    this.queue = meter("load.queue");
    this.speed = element("p", { class: "reading" });
    this.tokens = element("p", { class: "small" });
    const head = element("header", {}, element("h2", {}, name), this.speed);
    this.node = element("article", { class: "card load" }, head, drawing, this.slots.node, this.queue.node, this.tokens);
  }

  update(model) {
    this.slots.update(model.num_running, model.max_slots);
    this.queue.update(model.num_waiting, model.max_queue);
    put(this.speed, "load.a-second", { speed: count(model.tokens_per_second) });
    const read = count(model.prompt_tokens_total);
    put(this.tokens, "load.tokens", { read, written: count(model.generation_tokens_total) });
    this.history = [...this.history, model.tokens_per_second].slice(-NUM_KEPT);
    const most = Math.max(1, ...this.history);
    const first = NUM_KEPT - this.history.length;
    const points = this.history.map((speed, i) => `${((first + i) * 240) / (NUM_KEPT - 1)},${46 - (44 * speed) / most}`);
    this.line.setAttribute("points", points.join(" "));
  }
}

function meter(words) {
  const drawn = element("meter", { min: 0, label: words });
  const number = element("span", { class: "number" });
  const node = element("div", { class: "metered" }, element("span", { words }), drawn, number);
  const update = (value, most) => {
    drawn.max = most;
    drawn.value = value;
    number.textContent = `${count(value)} / ${count(most)}`;
  };
  return { node, update };
}
