"""Benchmark tokens back to natural English: what people write and read."""

from __future__ import annotations

import re

_JOINED = re.compile(r" @([-,.])@(?: |$)")
_TO_THE_LEFT = re.compile(
    r" (n't|'(?!(?:em|til|cause|tis|twas|n|bout|round)\b)[a-zA-Zí]+|\.\.\.|…|[,.;:!?%)\]}°′″])(?= |$)"
)
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
    line = " ".join(_attach_quotes(tokens))
    line = _JOINED.sub(r"\1", line)
    line = _BETWEEN_NUMBERS.sub(r"\1", line)
    line = _BETWEEN.sub(r"\1", line)
    while (joined := _TO_THE_LEFT.sub(r"\1", line)) != line:
        line = joined
    line = _TO_THE_RIGHT.sub(r"\1\2", line)
    line = line.replace(_GLUE_LEFT, "").replace(_GLUE_RIGHT, "")
    return line.replace(_LEFT, "").replace(_RIGHT, "")


def _plain_quotes(token: str) -> str:
    return '"' if token in ("``", "''") else token.translate(_DIRECTED_QUOTES)


_LEFT, _RIGHT = "\ue000", "\ue001"
"""Private-use marks on a quote's side that wants no space; none is left in the result."""
_GLUE_LEFT, _GLUE_RIGHT = f" {_LEFT}", f"{_RIGHT} "
_OPENING, _CLOSING = frozenset(("``", "`", "“", "‘")), frozenset(("''", "”"))
_ENDING = re.compile(r"[,.;:!?)\]}]+")


def _attach_quotes(tokens: list[str]) -> list[str]:
    """Make quotes plain and mark each as opening or closing.

    One that has a direction keeps it; before an end of the line or closing punctuation it closes; an apostrophe
    after an s is a possessive; else they alternate.
    """
    is_open = {'"': False, "'": False}
    attached = []
    for token, before, after in zip(tokens, ["", *tokens], [*tokens[1:], ""], strict=False):
        quote = _plain_quotes(token)
        if quote not in is_open:
            attached.append(quote)
            continue
        is_possessive = token == "'" and not is_open["'"] and before.endswith("s")
        if token in _OPENING:
            opens = True
        elif token in _CLOSING or is_possessive or not after or _ENDING.fullmatch(after):
            opens = False
        else:
            opens = not is_open[quote]
        attached.append(quote + _RIGHT if opens else _LEFT + quote)
        is_open[quote] = opens
    return attached
