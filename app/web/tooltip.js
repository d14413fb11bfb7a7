// A tooltip: the small note that stands beside a word while it is pointed at or has the focus.
import { element } from "./dom.js";

const GAP = 6;
const GRACE_MS = 140;

/** One note for a whole text; it can be pointed at itself, and Escape puts it away. */
export class Tooltip {
  constructor(id) {
    this.node = element("div", { class: "tooltip", id, role: "tooltip", hidden: true });
    this.node.addEventListener("pointerenter", () => clearTimeout(this.leaving));
    this.node.addEventListener("pointerleave", () => this.leave());
    document.body.append(this.node);
    window.addEventListener("resize", () => this.node.hidden || this.position());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
  }

  show(anchor, ...content) {
    clearTimeout(this.leaving);
    this.anchor?.classList.remove("has-tooltip");
    this.anchor = anchor;
    anchor.classList.add("has-tooltip");
    this.node.replaceChildren(...content);
    this.node.hidden = false;
    this.position();
  }

  /** Stand below the word, or above it where there is no room; never beyond the page's edges. */
  position() {
    const word = this.anchor.getClientRects()[0] ?? this.anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const isRoomBelow = word.bottom + GAP + height <= window.innerHeight;
    const top = isRoomBelow || word.top < height + GAP ? word.bottom + GAP : word.top - GAP - height;
    const most = document.documentElement.clientWidth - width - GAP;
    const left = Math.max(GAP, Math.min(word.left + word.width / 2 - width / 2, most));
    this.node.style.top = `${top + window.scrollY}px`;
    this.node.style.left = `${left + window.scrollX}px`;
  }

  /** Go, unless the pointer comes to the note or to another word in a moment. */
  leave() {
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.hide(), GRACE_MS);
  }

  hide() {
    clearTimeout(this.leaving);
    this.node.hidden = true;
    this.anchor?.classList.remove("has-tooltip");
  }
}
