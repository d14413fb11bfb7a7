"""Answers about how likely texts are: of `score` in all its forms, and of `rescore`."""

from __future__ import annotations

from dataclasses import dataclass

from refrain.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token and where it stands in the text, in characters; rank 1 is the likeliest."""

    token: str
    logprob: float
    rank: int
    start: int
    end: int
    unknown: bool | None = None


@dataclass(frozen=True, slots=True)
class TextScore:
    """The score of one text; perplexity and bits are None for an empty one."""

    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    tokens: tuple[TokenScore, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of `score`, one a text."""

    model: str
    results: tuple[TextScore, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """What is known of a long text so far; the last one is `final`."""

    model: str
    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    final: bool
    state: str | None = None


@dataclass(frozen=True, slots=True)
class LineScore:
    """The score of one line, numbered from 1; with an `error` it has none."""

    line: int
    perplexity: float | None = None
    log_likelihood: float | None = None
    num_tokens: int | None = None
    num_unknown: int | None = None
    bits_per_character: float | None = None
    error: ClientError | None = None


@dataclass(frozen=True, slots=True)
class Rescored:
    """A hypothesis with each part of its score."""

    text: str
    total: float
    given: float
    log_likelihood: float
    num_tokens: int
    num_unknown: int


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The hypotheses of `rescore`, best first."""

    model: str
    hypotheses: tuple[Rescored, ...]
