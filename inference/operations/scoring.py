"""How likely a text is: perplexity, bits a character, and every token's share."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from refrain.inference.engine.request import Request, Scored, TextState
from refrain.inference.operation import Operation, scored
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.models.native.step.cache_view import CacheView
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import NOTHING, Want
from refrain.models.text.splitter import EOS
from refrain.models.text.tokenizer import Encoding, Tokenizer

MAX_EXPONENT = 700
STRIDE = 16_384
"""Tokens of a text that one sequence scores; a longer text goes on from the state, to the same numbers."""


@dataclass(frozen=True)
class ScoreParams(Plain):
    """How texts are measured, by the names of `POST /score`.

    Attributes
    ----------
    count_end
        Whether the end of the text counts as one more token.
    """

    per_token: bool = False
    count_end: bool = False
    return_state: bool = False


PLAIN_SCORE = ScoreParams()


@dataclass(frozen=True)
class TokenScore(Plain):
    """One token of a scored text: natural log-probability, rank (1 = likeliest), and where it stands, in characters.

    `unknown` marks one that the vocabulary lacks: its figures are those of any such word.
    """

    token: str
    logprob: float
    rank: int
    start: int
    end: int
    unknown: bool = False


@dataclass(frozen=True)
class TextScore(Plain):
    """The score of one text; perplexity and bits are None for a text of no tokens or characters.

    `tokens` is None where they were not asked for.
    """

    hidden = frozenset({"state"})

    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    tokens: list[TokenScore] | None = None
    state: TextState | None = None

    @classmethod
    def of(
        cls,
        log_likelihood: float,
        num_tokens: int,
        num_unknown: int,
        num_characters: int,
        state: TextState | None = None,
    ) -> TextScore:
        """Sum up a text, without its tokens."""
        return cls(
            perplexity=perplexity_of(log_likelihood, num_tokens),
            log_likelihood=log_likelihood,
            num_tokens=num_tokens,
            num_unknown=num_unknown,
            bits_per_character=bits_per_character_of(log_likelihood, num_characters),
            state=state,
        )


def perplexity_of(log_likelihood: float, num_tokens: int) -> float | None:
    """Return exp of the mean negative log-probability; None for no tokens, or where it is beyond all numbers."""
    if not num_tokens or -log_likelihood / num_tokens > MAX_EXPONENT:
        return None
    return math.exp(-log_likelihood / num_tokens)


def bits_per_character_of(log_likelihood: float, num_characters: int) -> float | None:
    """Return the negative binary logarithm of a text's probability, a character; None for no characters."""
    return -log_likelihood / math.log(2) / num_characters if num_characters else None


def score_text(
    model: TextModel,
    text: str,
    encoding: Encoding,
    params: ScoreParams = PLAIN_SCORE,
    start: TextState | None = None,
) -> Operation[TextScore]:
    """Score a text that has been tokenized, from its beginning or after a state.

    The encoding's offsets count only where every token is reported.
    """
    ids = [*encoding.ids, model.tokenizer.eos_id] if params.count_end else encoding.ids
    want = Want(ranks=params.per_token, state=params.return_state)
    found = yield from score_ids(ids, start, want)
    log_likelihood = math.fsum(found.logprobs)
    state = found.state if params.return_state else None
    score = TextScore.of(log_likelihood, len(ids), encoding.num_unknown, len(text), state)
    return (
        replace(score, tokens=_token_scores(text, encoding, found)) if params.per_token else score
    )


def score_ids(
    ids: Sequence[int],
    start: TextState | None = None,
    want: Want = NOTHING,
    cache: CacheView | None = None,
) -> Operation[Scored]:
    """Score tokens, a stride at a time; with a cache, or with hidden states or tops, in one go."""
    if not len(ids):
        return Scored([], [], state=start if want.state else None)
    if len(ids) <= STRIDE or cache or want.hidden or want.top:
        return (yield from scored(Request(Purpose.SCORE, ids, start, want=want, cache=cache)))
    logprobs, ranks, state = array("f"), array("i"), start
    for first in range(0, len(ids), STRIDE):
        some = ids[first : first + STRIDE]
        stride = Want(ranks=want.ranks, state=True)
        found = yield from scored(Request(Purpose.SCORE, some, state, want=stride))
        state = found.state
        logprobs.extend(found.logprobs)
        ranks.extend(found.ranks)
    return Scored(logprobs, ranks, state=state)


def _token_scores(text: str, encoding: Encoding, found: Scored) -> list[TokenScore]:
    num_tokens = len(found.logprobs)
    pieces = [text[start:end] for start, end in encoding.offsets]
    offsets = list(encoding.offsets)
    if num_tokens > len(pieces):
        pieces.append(EOS)
        offsets.append((len(text), len(text)))
    is_unknown = [token_id == Tokenizer.unk_id for token_id in encoding.ids]
    is_unknown += [False] * (num_tokens - len(is_unknown))
    rows = zip(pieces, found.logprobs, found.ranks, offsets, is_unknown, strict=True)
    return [
        TokenScore(token, logprob, rank, start, end, unknown)
        for token, logprob, rank, (start, end), unknown in rows
    ]
