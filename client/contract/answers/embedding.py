"""Answers of `embed`: a vector for each text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Embedding:
    """One text's vector, of unit length."""

    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The results of `embed`, one a text."""

    model: str
    results: tuple[Embedding, ...]
