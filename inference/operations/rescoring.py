"""Which hypothesis of a recogniser reads best: its own score, and a language model's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from refrain.inference.engine.request import Request, TextState
from refrain.inference.operation import Operation, gather, read, scored
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.models.native.step.sampling import Bounds, check_bounds
from refrain.models.native.step.structures import Purpose
from refrain.models.text.tokenizer import Encoding

BOUNDS: dict[str, Bounds] = {"weight": {"ge": -100, "le": 100}}


@dataclass(frozen=True)
class Hypothesis(Plain):
    """What was recognised, and how well it fits what was heard or seen."""

    text: str
    score: float = 0.0


@dataclass(frozen=True)
class Rescored(Plain):
    """A hypothesis with each part of its score; log-probabilities are natural.

    total = given + weight * log_likelihood, the latter for each token where it is normalised.
    """

    text: str
    total: float
    given: float
    log_likelihood: float
    num_tokens: int
    num_unknown: int


@dataclass(frozen=True)
class RescoringParams(Plain):
    """How hypotheses are compared, by the names of `POST /rescore`.

    Attributes
    ----------
    weight
        Of the language model's log-likelihood.
    length_normalize
        Whether the log-likelihood is that of the mean token.
    bos
        Whether, without a context, a hypothesis begins a text; False leaves its first token out.
    eos
        Whether the end of the text counts after each.
    normalize
        "hypotheses": every word's probability is that among the words of all hypotheses alone.

    Raises
    ------
    InvalidParameterError
        If the weight is out of bounds.
    """

    weight: float = 1.0
    length_normalize: bool = False
    bos: bool = True
    eos: bool = False
    normalize: Literal["vocabulary", "hypotheses"] = "vocabulary"

    def __post_init__(self) -> None:
        check_bounds(self, BOUNDS)


def rescore(
    model: TextModel,
    context: Sequence[int],
    hypotheses: Sequence[tuple[Hypothesis, Encoding]],
    params: RescoringParams,
    start: TextState | None = None,
) -> Operation[list[Rescored]]:
    """Score hypotheses after a context that is read once; return them likeliest first, equal ones in their order."""
    if context:
        start = yield from read(context, start)
    words: set[int] = set()
    if params.normalize == "hypotheses":
        words = {model.tokenizer.eos_id} if params.eos else set()
        words.update(*(encoding.ids for _, encoding in hypotheses))
    found = yield from gather(
        _rescore_one(model, start, each, sorted(words), params) for each in hypotheses
    )
    return sorted(found, key=lambda each: -each.total)


def _rescore_one(
    model: TextModel,
    start: TextState | None,
    hypothesis: tuple[Hypothesis, Encoding],
    words: Sequence[int],
    params: RescoringParams,
) -> Operation[Rescored]:
    given, encoding = hypothesis
    ids = [*encoding.ids, model.tokenizer.eos_id] if params.eos else encoding.ids
    logprobs: Sequence[float] = ()
    if ids:
        found = yield from scored(Request(Purpose.SCORE, ids, start, candidates=words))
        logprobs = found.logprobs
    if start is None and not params.bos:
        logprobs = logprobs[1:]
    log_likelihood = math.fsum(logprobs)
    is_mean = params.length_normalize
    part = log_likelihood / max(1, len(logprobs)) if is_mean else log_likelihood
    total = given.score + params.weight * part
    counts = (len(logprobs), encoding.num_unknown)
    return Rescored(given.text, total, given.score, log_likelihood, *counts)
