"""WikiText-2 (Merity et al. 2017): as the benchmark has it, and turned back to natural English."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from refrain.training.data.corpus import Split, TextCorpus
from refrain.training.data.detokenize import detokenize

FILES: dict[Split, str] = {
    "train": "wikitext-2/wiki.train.tokens.gz",
    "validation": "wikitext-2/wiki.valid.tokens",
    "test": "wikitext-2/wiki.test.tokens",
}

_TITLE = re.compile(r"^ = [^=].* = $")
_HEADING = re.compile(r"^(?:= )+(.*?)(?: =)+$")


def read_wikitext(root: Path) -> TextCorpus:
    """Read the benchmark: every line, empty ones too, is a text that ends with the boundary."""
    return TextCorpus(
        {split: lines_of(root / file) for split, file in FILES.items()}, unit="stream"
    )


def read_natural_wikitext(root: Path) -> TextCorpus:
    """Read natural English: a text is an article, with its headings on lines of their own."""
    return TextCorpus(
        {split: natural_articles(lines_of(root / file)) for split, file in FILES.items()},
        unit="documents",
    )


def natural_articles(lines: list[str]) -> list[str]:
    """Join detokenized lines to articles; each begins at a heading of the first level, between empty lines."""
    articles: list[list[str]] = [[]]
    for index, line in enumerate(lines):
        alone = not any(
            near.strip()
            for near in (*lines[max(0, index - 1) : index], *lines[index + 1 : index + 2])
        )
        if alone and _TITLE.match(line):
            articles.append([])
        heading = _HEADING.match(line.strip())
        text = detokenize(heading.group(1) if heading else line)
        if text:
            articles[-1].append(text)
    return ["\n".join(article) for article in articles if article]


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file that may be packed as `.gz`."""
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
    return text.removesuffix("\n").split("\n")
