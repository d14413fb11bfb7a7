"""The table of a mixture: how much there is of each source, and how much was removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(manifest: Mapping[str, Any]) -> list[str]:
    """Return a table, a line for each source: words of each split, documents, bytes, near-duplicates removed."""
    head = ("source", "train words", "validation", "test", "documents", "bytes", "removed")
    rows = [
        (name, *_figures(about["splits"]), sum(about["near_duplicates_removed"].values()))
        for name, about in manifest["sources"].items()
    ]
    total = ("all", *(sum(row[column] for row in rows) for column in range(1, len(head))))
    return [
        f"{line[0]:22}" + "".join(f"{_number(cell):>13}" for cell in line[1:])
        for line in (head, *rows, total)
    ]


def _figures(splits: Mapping[str, Mapping[str, int]]) -> list[int]:
    words = [splits[split]["words"] for split in ("train", "validation", "test")]
    return [*words, *(sum(each[key] for each in splits.values()) for key in ("documents", "bytes"))]


def _number(cell: str | int) -> str:
    return cell if isinstance(cell, str) else f"{cell:,}"
