// The service's routes. Paths are relative: the page works behind any prefix.
import { element } from "./dom.js";
import { put } from "./language.js";

/** What the service answered instead, in its own words. */
export class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function request(path, body, { method = body ? "POST" : "GET", ...options } = {}) {
  const headers = body ? { "content-type": "application/json" } : {};
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), ...options });
  if (response.ok) return response;
  const refusal = await response.json().catch(() => null);
  throw new ServiceError(refusal?.error?.message ?? response.statusText, response.status);
}

/** Ask a route, and return its answer. */
export async function ask(path, body, options) {
  const response = await request(path, body, options);
  return response.status === 204 ? null : response.json();
}

/** Ask a route that streams, and yield its events one by one. */
export async function* listen(path, body, signal) {
  const response = await request(path, body, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ServiceError("the answer broke off", 0);
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const text = part.replace(/^data: /, "");
      if (text === "[DONE]") return;
      const event = JSON.parse(text);
      if (event.error) throw new ServiceError(event.error.message, 0);
      yield event;
    }
  }
}

/** A paragraph for what went wrong; empty while nothing has. */
export class Notice {
  constructor() {
    this.node = element("p", { class: "notice", role: "alert" });
  }

  clear() {
    this.node.replaceChildren();
  }

  show(error) {
    const text = element("span");
    if (error instanceof ServiceError) text.textContent = error.message;
    else if (error instanceof TypeError) put(text, "page.unreachable");
    else throw error;
    this.node.replaceChildren(text);
  }
}

/** Fill a choice of models with those of some tasks; the first choice leaves it to the service. */
export async function offerModels(select, tasks) {
  select.append(element("option", { value: "", words: "page.auto" }));
  const { models } = await ask("models");
  const fitting = models.filter((model) => tasks.includes(model.task));
  select.append(...fitting.map(({ name }) => new Option(name, name)));
  return fitting;
}

export const LANGUAGE_MODELS = ["language_model", "ngram"];
