"""Benchmark tokens back to natural English: what people write and read."""

from __future__ import annotations

import re

_JOINED = re.compile(r" @([-,.])@ ")
_TO_THE_LEFT = re.compile(r" (n't|'[a-zA-Zí]+|\.\.\.|…|[,.;:!?%)\]}°′″])(?= |$)")
_TO_THE_RIGHT = re.compile(r"(^| )([(\[{$£€₹#]) ")
_BETWEEN = re.compile(r"(?<=\S) (/|⁄) (?=\S)")
_BETWEEN_NUMBERS = re.compile(r"(?<=\d) ?([–:−]) (?=\d)")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}
_DIRECTED_QUOTES = str.maketrans({"`": "'", "‘": "'", "’": "'", "“": '"', "”": '"'})


def detokenize(text: str) -> str:
    """Turn one line of space-separated tokens to natural text.

    Knows the marks of WikiText (`@-@`) and of the Penn Treebank (``-LRB-``, `n't`, paired back-quotes).
    """
    tokens = [_BRACKETS.get(token, token) for token in text.split()]
    line = " ".join(_attach_quotes([_plain_quotes(token) for token in tokens]))
    line = _JOINED.sub(r"\1", line)
    line = _BETWEEN_NUMBERS.sub(r"\1", line)
    line = _BETWEEN.sub(r"\1", line)
    while (joined := _TO_THE_LEFT.sub(r"\1", line)) != line:
        line = joined
    line = _TO_THE_RIGHT.sub(r"\1\2", line)
    return line.replace(_GLUE_LEFT, "").replace(_GLUE_RIGHT, "")


def _plain_quotes(token: str) -> str:
    return '"' if token in ("``", "''") else token.translate(_DIRECTED_QUOTES)


_GLUE_LEFT, _GLUE_RIGHT = " \ue000", "\ue001 "
"""Private-use marks that swallow the space beside them."""


def _attach_quotes(tokens: list[str]) -> list[str]:
    """Mark each quote of a line as opening or closing: they alternate, but for a possessive's apostrophe."""
    is_open = {'"': False, "'": False}
    attached = []
    for index, token in enumerate(tokens):
        if token not in is_open:
            attached.append(token)
            continue
        previous = tokens[index - 1] if index else ""
        is_possessive = token == "'" and not is_open["'"] and previous.endswith("s")
        if is_open[token] or is_possessive:
            attached.append("\ue000" + token)
        else:
            attached.append(token + "\ue001")
        if not is_possessive:
            is_open[token] = not is_open[token]
    return attached
