"""Answers of `generate`: texts, or the events of a stream of text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have stood there."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A written token and the likeliest that could have stood there."""

    token: str
    logprob: float
    top: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One text; `index` is prompt x n + i, `finish_reason` is "stop" or "length"."""

    index: int
    text: str
    finish_reason: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """The texts of `generate`, and the seed that repeats them."""

    model: str
    choices: tuple[Choice, ...]
    seed: int
    usage: Usage

    @property
    def text(self) -> str:
        """The first text."""
        return self.choices[0].text


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one text of a stream; its last has a `finish_reason`."""

    index: int
    text: str
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The last event of a stream of text."""

    model: str
    seed: int
    usage: Usage
