// The margin of the sheet: model, temperature, nucleus, length, seed.
import { element, field } from "./dom.js";
import { LANGUAGE_MODELS, offerModels } from "./service.js";

/** Make the settings of writing; `values()` gives the fields of a request. */
export function makeSettings(notice) {
  const model = element("select", {});
  offerModels(model, LANGUAGE_MODELS).catch((error) => notice.show(error));
  const temperature = slider({ min: 0, max: 1.5, step: 0.05, value: 0.7 });
  const nucleus = slider({ min: 0.05, max: 1, step: 0.05, value: 0.9 });
  const length = number({ min: 1, max: 4096, value: 80 });
  const seed = number({ min: 0, max: Number.MAX_SAFE_INTEGER, hint: "write.any" });
  const node = element(
    "aside",
    { class: "margin stack", label: "write.settings" },
    field("write.model", model),
    field("write.temperature", temperature, temperature.shown, small("write.temperature-is")),
    field("write.nucleus", nucleus, nucleus.shown, small("write.nucleus-is")),
    field("write.length", length),
    field("write.seed", seed, small("write.seed-is")),
  );
  const values = () => ({
    ...(model.value && { model: model.value }),
    ...(seed.value && { seed: Number(seed.value) }),
    max_tokens: Number(length.value),
    temperature: Number(temperature.value),
    top_p: Number(nucleus.value),
  });
  return { node, values, keepSeed: (value) => (seed.value = value) };
}

function small(words) {
  return element("p", { class: "small", words });
}

function number(attributes) {
  return element("input", { type: "number", inputmode: "numeric", step: 1, ...attributes });
}

function slider(attributes) {
  const input = element("input", { type: "range", ...attributes });
  input.shown = element("output", { class: "reading" });
  const update = () => (input.shown.textContent = Number(input.value).toFixed(2));
  input.addEventListener("input", update);
  update();
  return input;
}
