// The service writes faster than anyone sees; the page lets tokens appear one after another.
const BEAT_MS = 30;
const BEATS_BEHIND = 30;

/** Hands things on one at a beat, more where many wait, and all at once where motion is not wanted. */
export class Pace {
  constructor(take) {
    this.take = take;
    this.waiting = [];
  }

  push(...things) {
    this.waiting.push(...things);
    const isStill = document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isStill) this.beat(this.waiting.length);
    else this.timer ??= setInterval(() => this.beat(Math.ceil(this.waiting.length / BEATS_BEHIND)), BEAT_MS);
  }

  beat(count) {
    for (const thing of this.waiting.splice(0, count)) this.take(thing);
    if (!this.waiting.length) this.rest();
  }

  /** Wait until everything is handed on, or dropped. */
  async whenDone() {
    if (!this.waiting.length) return;
    await new Promise((resolve) => (this.done = resolve));
  }

  drop() {
    this.waiting = [];
    this.rest();
  }

  rest() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.done?.();
  }
}
