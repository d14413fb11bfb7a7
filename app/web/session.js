// A text that is being typed, kept on the server, so that a key costs only what is new.
import { ServiceError, ask } from "./service.js";

/** Cut a text to what is settled and the letters of the word under way; characters are never under way. */
export function cut(text, model) {
  const word = model.tokenizer === "characters" ? "" : text.match(/[\p{L}\p{M}]*$/u)[0];
  return { settled: text.slice(0, text.length - word.length), word };
}

/** Replace the word under way by a predicted one; a space is left ready for the next. */
export function withWord(text, token, model) {
  if (model.tokenizer === "characters") return text + token;
  const { settled, word } = cut(text, model);
  const isApart = token.startsWith(" ") || (word && /\s$/.test(settled));
  const before = isApart || word ? settled : settled.trimEnd();
  const space = token.startsWith(" ") && /\S$/.test(before) ? " " : "";
  const after = /[(\[“‘$£\-–\n]$/.test(token) ? "" : " ";
  return before + space + token.replace(/^ /, "") + after;
}

/** The session of a text; opened anew where earlier text was changed, the model too, or the server has forgotten it. */
export class TypedSession {
  /** Predict what follows a text; `milliseconds` is the time from here to there and back. */
  async next(text, model, topK) {
    const { settled, word } = cut(text, model);
    try {
      return await this.predict(settled, word, model, topK);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== 404) throw error;
      this.id = undefined;
      return this.predict(settled, word, model, topK);
    }
  }

  async predict(settled, word, model, topK) {
    const started = performance.now();
    await this.bring(settled, model.name);
    const answer = await ask(`sessions/${this.id}/next`, { top_k: topK, starts_with: word });
    return { ...answer, milliseconds: performance.now() - started };
  }

  /** Have the server's text be this one. */
  async bring(settled, model) {
    const isContinued = this.id && this.model === model && settled.startsWith(this.sent);
    if (!isContinued) {
      await this.close();
      this.id = (await ask("sessions", { text: settled, model })).session;
    } else if (settled !== this.sent) {
      await this.append(settled.slice(this.sent.length));
    }
    this.sent = settled;
    this.model = model;
  }

  /** Append to the server's text; where the answer is lost nobody knows whether it has grown, so that session is left. */
  async append(text) {
    try {
      await ask(`sessions/${this.id}/append`, { text });
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  async close(options = {}) {
    const { id } = this;
    this.id = undefined;
    if (id) await ask(`sessions/${id}`, undefined, { method: "DELETE", ...options });
  }

  /** Close without waiting for an answer, which may come after the page has gone. */
  leave() {
    this.close({ keepalive: true }).catch(() => {});
  }
}
