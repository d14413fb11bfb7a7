"""The Complete Tang Poems in simplified characters, cleaned of editors' marks and split by poem."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

from refrain.training.data.corpus import Split, TextCorpus
from refrain.training.data.near_duplicates import keep_apart, split_of

FILE = "tang-poems/tang.simplified.jsonl.gz"

_NOTE = re.compile(r"（[^（）]*(?:）|$)|〖[^〖〗]*〗|\([^()]*\)")
_BRACKETS = str.maketrans("", "", "[]［］）《》「」『』“”‘’ \t")
_FOREIGN = re.compile(r"[^㐀-\u9fff\U00020000-\U0003ffff，。？！；：、\n]")
_CLAUSE = re.compile(r"[，。？！；：、\n]+")
MAX_TITLE = 16
"""Longest title, in characters; a longer one is mostly an occasion and is left away."""


def read_tang(root: Path) -> TextCorpus:
    """Read the poems: one verse a line, half of them under their title in 《》.

    Notes in brackets are cut, characters that an editor restored are kept, quotation marks and book-title marks
    are dropped; poems with lost characters or fewer than two clauses are left out, as are exact repeats.
    """
    splits: dict[Split, list[tuple[str, list[str]]]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    with gzip.open(root / FILE, "rt", encoding="utf-8") as file:
        for key, title, verse in _poems(file):
            if verse in seen:
                continue
            seen.add(verse)
            text = f"《{title}》\n{verse}" if title and has_title(key) else verse
            split = split_of(key, validation=0.025, test=0.025)
            splits[split].append((text, clauses_of(verse)))
    return TextCorpus(documents=keep_apart(splits), unit="documents")


def _poems(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Yield id, clean title (may be empty) and clean verse of each poem worth keeping."""
    for line in lines:
        poem = json.loads(line)
        verse = clean_verse("\n".join(poem["lines"]))
        if verse:
            yield poem["id"], clean_title(poem["title"]), verse


def clean_verse(text: str) -> str:
    """Return a poem cleaned, or "" for one that is damaged or a fragment."""
    verse = _without_notes(text).translate(_BRACKETS)
    lines = [line for line in verse.split("\n") if line.strip("，。？！；：、")]
    verse = "\n".join(lines)
    if _FOREIGN.search(verse) or len(clauses_of(verse)) < 2:
        return ""
    return verse


def clean_title(text: str) -> str:
    """Return a title cleaned, or "" for one that is damaged or too long."""
    title = _without_notes(text).translate(_BRACKETS)
    if _FOREIGN.search(title) or len(title) > MAX_TITLE:
        return ""
    return title.strip("，。？！；：、")


def clauses_of(verse: str) -> list[str]:
    """Cut a poem at its punctuation to clauses of at least four characters."""
    return [clause for clause in _CLAUSE.split(verse) if len(clause) >= 4]


def has_title(key: str) -> bool:
    """Return whether a poem keeps its title: one in two, by a stable hash of its id."""
    return split_of(f"title {key}", validation=0.5, test=0.0) == "validation"


def _without_notes(text: str) -> str:
    while (shorter := _NOTE.sub("", text)) != text:
        text = shorter
    return text
