// What `/generate` streams, as entries of a text: {text, token, logprob, top}.

/** Make entries of one event; where tokens and text do not match, as within a character of several, they share one. */
export function entriesOf({ text, logprobs = [] }) {
  const tokens = logprobs.filter(({ token }) => token !== "<eos>");
  const end = logprobs.filter(({ token }) => token === "<eos>").map((each) => ({ ...each, text: "" }));
  const written = tokens.map(({ token }) => token).join("");
  if (written === text) return [...tokens.map((each) => ({ ...each, text: each.token })), ...end];
  if (written.trimStart() === text.trimStart() && tokens.length) {
    const [first, ...rest] = tokens;
    const cut = written.length - text.length;
    return [
      { ...first, text: first.token.slice(cut) },
      ...rest.map((each) => ({ ...each, text: each.token })),
      ...end,
    ];
  }
  return [...(text ? [{ top: [], ...tokens.at(-1), text }] : []), ...end];
}

/** Return whether a text is verse: Chinese, in short lines. */
export function isVerse(text) {
  const han = text.match(/\p{Script=Han}/gu)?.length ?? 0;
  return han > 0 && han * 2 > text.length && text.split("\n").every((line) => line.length <= 32);
}
