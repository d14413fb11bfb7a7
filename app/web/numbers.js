// Numbers as people read them.

/** A probability: 74.7 %, 0.17 %, or for less "< 0.01 %". */
export function percent(probability) {
  const hundred = 100 * probability;
  if (hundred >= 99.95 || hundred === 0) return `${Math.round(hundred)} %`;
  if (hundred >= 1) return `${hundred.toFixed(1)} %`;
  if (hundred >= 0.01) return `${hundred.toFixed(2)} %`;
  return "< 0.01 %";
}

/** A count with its thousands apart. */
export function count(value) {
  return Math.round(value).toLocaleString("en");
}

/** A figure in three or four digits: 77.5, 1,240, 0.479. */
export function figure(value) {
  if (value >= 1000) return count(value);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(value >= 1 ? 2 : 3);
}

/** A figure of which a whole number is enough: 1.7, 12, 211. */
export function roundedFigure(value) {
  return value < 10 ? value.toFixed(1) : count(value);
}

/** Sizes of networks: 6.0M. */
export function millions(value) {
  return `${(value / 1e6).toFixed(1)}M`;
}

/** Milliseconds, or seconds from a thousand on. */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

/** How surprising a log-probability is, in bits. */
export function bits(logprob) {
  return Math.max(0, -logprob / Math.LN2);
}
