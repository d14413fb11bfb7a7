// The tabs, in their order. A new one is a file beside this one, a line here, and its words in words.js.
//
// A tab has a `name` (its hash, and its key in words.js), `build(panel)`, called once, and, if it wants to know when
// it comes into sight and leaves it, `show()` and `hide()`.
import { write } from "./write.js";
import { next } from "./next.js";
import { surprise } from "./surprise.js";
import { sentiment } from "./sentiment.js";
import { models } from "./models.js";
import { load } from "./load.js";

export const TABS = [write, next, surprise, sentiment, models, load];
