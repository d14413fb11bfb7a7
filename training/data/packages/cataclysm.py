"""Texts of the game Cataclysm: Dark Days Ahead (Debian cataclysm-dda-data): a document is a file of its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

from refrain.training.data.packages.archive import Member, read_members
from refrain.training.data.packages.document import Document, Repeats, tidy
from refrain.training.errors import CorruptDatasetError

FOLDER = "usr/share/games/cataclysm-dda/"
MIN_WORDS = 20
"""A file of fewer is no text."""

_COLOUR = re.compile(r"</?color[^>]*>")
_TAG = re.compile(r"<[^<> ]+>")
_PREFIX = re.compile(r"^(?:&|\[[^]]*\]\s*)+")
_ENDS_A_SENTENCE = re.compile(r"[.!?…:][\"'”’*)]*$")
_PLACEHOLDER = re.compile(r"%[\w$]|[<>{}|\\█]|^\W*$")


def read_cataclysm(package: Path) -> Iterator[Document]:
    """Yield descriptions, notes and talk of each file, in the order of their paths; a reply stands below its line.

    A `<tag>` becomes one of the texts that the game puts there, in turn; lines with a tag that has none are left out.
    """
    files = {
        member.path.removeprefix(FOLDER): _objects(package, member)
        for member in read_members(package, f"{FOLDER}(?!.*TEST).*\\.json")
    }
    words = _words_of_tags([each for objects in files.values() for each in objects])
    repeats = Repeats()
    for path in sorted(files):
        raw = [text for each in files[path] for text in _texts(each)]
        lines = [clean_line(line, words) for text in raw for line in text.split("\n")]
        document = Document(
            path.removesuffix(".json"), "\n".join(repeats.without(filter(None, lines)))
        )
        if document.num_words >= MIN_WORDS:
            yield document


def clean_line(line: str, words: Mapping[str, Iterator[str]]) -> str:
    """Return a line as a player reads it; "" for one that is no sentence or has something left to fill in."""
    line = _TAG.sub(lambda tag: next(words.get(tag[0], repeat(tag[0]))), _COLOUR.sub("", line))
    line = tidy(_PREFIX.sub("", line.strip()))
    if _PLACEHOLDER.search(line) or not _ENDS_A_SENTENCE.search(line):
        return ""
    return line[0].upper() + line[1:]


def _objects(package: Path, member: Member) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON, which has one or a list of them."""
    try:
        content = json.loads(member.content)
    except ValueError as error:
        raise CorruptDatasetError(f"{package}: {member.path} is no JSON: {error}") from error
    return [
        each
        for each in (content if isinstance(content, list) else [content])
        if isinstance(each, dict)
    ]


def _words_of_tags(objects: list[dict[str, Any]]) -> dict[str, Iterator[str]]:
    """Return for each `<tag>` the texts that the game fills it with, one after another, if they have no tags."""
    words: dict[str, list[str]] = {}
    for each in objects:
        tag = each.get("category", "")
        if each.get("type") == "snippet" and isinstance(tag, str) and _TAG.fullmatch(tag):
            texts = [text for text in _strings(each.get("text")) if not _TAG.search(text)]
            words[tag] = words.get(tag, []) + texts
    return {tag: cycle(texts) for tag, texts in words.items() if texts}


def _texts(each: dict[str, Any]) -> Iterator[str]:
    """Yield what a player may read of an object: talk, notes, or its description."""
    if each.get("type") == "talk_topic":
        yield from _strings(each.get("dynamic_line"))
        yield from _strings(each.get("responses"))
    elif each.get("type") == "snippet":
        yield from _strings(each.get("text"))
    else:
        yield from _strings(each.get("description"))


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings of a tree, without keys and comments; names of conditions among them are no sentences."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not key.startswith("//"):
                yield from _strings(each)
