"""One text on its way through the engine: what it reads, what it writes, what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "abort"]
Purpose = Literal["generate", "score", "next"]


@dataclass(frozen=True)
class SamplingParams:
    """How to choose tokens.

    Attributes
    ----------
    temperature
        0 takes the likeliest token.
    top_k, top_p, min_p
        Keep the k likeliest; the likeliest with this much probability; those with this share of the likeliest's.
    repetition_penalty
        Divides the positive logits of tokens already in the text, and multiplies the negative ones.
    ignore_eos
        Never end by itself.
    num_logprobs
        Alternatives to report with each token.
    banned
        Tokens that are never written.
    """

    seed: int
    max_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    ignore_eos: bool = False
    num_logprobs: int = 0
    banned: frozenset[int] = frozenset()


@dataclass(frozen=True)
class TokenEvent:
    """One token written; `token_id` is the boundary's when the text ended by itself."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Scored:
    """Natural log-probability and rank (1 = likeliest) of each target."""

    logprobs: list[float]
    ranks: list[int]


@dataclass(eq=False)
class Sequence:
    """A text with a cursor: `tokens[:num_read]` are in its slot's state.

    Attributes
    ----------
    tokens
        The boundary, the given tokens, and those written so far.
    num_given
        How many of them came with the request.
    results
        What a step found out for it, in the order of the purpose.
    """

    purpose: Purpose
    tokens: list[int]
    params: SamplingParams | None = None
    num_read: int = 0
    slot: int = -1
    num_given: int = field(init=False)
    logprobs: list[float] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    sink: Any = None

    def __post_init__(self) -> None:
        self.num_given = len(self.tokens)

    @classmethod
    def start(
        cls, purpose: Purpose, boundary_id: int, ids: Ids[int], params: SamplingParams | None = None
    ) -> Sequence:
        """Begin a text: the boundary comes first."""
        return cls(purpose, [boundary_id, *ids], params)

    @property
    def num_unread(self) -> int:
        """Tokens that the state has not seen."""
        return len(self.tokens) - self.num_read

    @property
    def may_write(self) -> bool:
        """Whether the engine may write a token at all."""
        return self.params is not None and self.num_written < self.params.max_tokens

    @property
    def num_written(self) -> int:
        """Tokens that the engine wrote."""
        return len(self.tokens) - self.num_given
