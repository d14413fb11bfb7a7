"""How likely a text is: perplexity, bits a character, and every token's share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.sequence import Scored, TextState
from app.services.encoding import encode
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedLanguageModel
from app.services.state_token import StateTokens
from app.services.together import together
from app.settings import Settings
from models.tokenizer import EOS, Encoding, Tokenizer

MAX_EXPONENT = 700


@dataclass(frozen=True)
class TokenScore:
    """One token of a scored text: its place in characters, natural log-probability, and rank (1 = likeliest).

    `is_unknown` marks one that the vocabulary lacks: its figures are those of any such word.
    """

    token: str
    logprob: float
    rank: int
    start: int
    end: int
    is_unknown: bool = False


@dataclass(frozen=True)
class TextScore:
    """The score of one text; perplexity and bits are None for a text of no tokens or characters."""

    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    tokens: list[TokenScore]
    state: TextState | None


@dataclass(frozen=True)
class ScoringOptions:
    """What a caller may ask for; see the route's schema."""

    model: str | None = None
    count_end: bool = False
    per_token: bool = False
    state: str | None = None
    wants_state: bool = False
    caller: str = ""


class ScoringService:
    """Measures texts."""

    def __init__(self, states: StateTokens, settings: Settings) -> None:
        self._states = states
        self._settings = settings

    async def score(
        self, texts: Sequence[str], options: ScoringOptions
    ) -> tuple[LoadedLanguageModel, list[TextScore]]:
        """Score texts, each from its beginning or after a state; gives the model too.

        Raises
        ------
        ServiceError
            For an unknown model, too many or too long texts.
        EngineError
            If the queue is full or the engine has stopped.
        """
        if len(texts) > self._settings.max_texts:
            raise InvalidParameterError(f"at most {self._settings.max_texts} texts", "text")
        sample = "".join(text[:500] for text in texts)
        loaded, start = self._states.resolve(options.model, sample, options.state)
        loaded.engine.admit(len(texts))
        encodings = [
            await encode(
                loaded.checkpoint.tokenizer,
                text,
                max_tokens=self._settings.max_score_tokens,
                param="text",
            )
            for text in texts
        ]
        scores = await _score_all(loaded, encodings, start, options)
        results = [
            text_score(text, encoding, scored, per_token=options.per_token)
            for text, encoding, scored in zip(texts, encodings, scores, strict=True)
        ]
        return loaded, results


async def _score_all(
    loaded: LoadedLanguageModel,
    encodings: list[Encoding],
    start: TextState | None,
    options: ScoringOptions,
) -> list[Scored]:
    return await together(
        loaded.engine.score(
            encoding.ids,
            count_end=options.count_end,
            start=start,
            caller=options.caller,
            wants_state=options.wants_state,
            wants_ranks=options.per_token,
        )
        for encoding in encodings
    )


def perplexity_of(log_likelihood: float, num_tokens: int) -> float | None:
    """Give exp of the mean negative log-probability; None for no tokens, or where it is beyond all numbers."""
    if not num_tokens or -log_likelihood / num_tokens > MAX_EXPONENT:
        return None
    return math.exp(-log_likelihood / num_tokens)


def bits_per_character_of(log_likelihood: float, num_characters: int) -> float | None:
    """Give the negative binary logarithm of a text's probability, a character; None for no characters."""
    return -log_likelihood / math.log(2) / num_characters if num_characters else None


def text_score(
    text: str, encoding: Encoding, scored: Scored, *, per_token: bool = False
) -> TextScore:
    """Sum up what was found out about a text, and with `per_token` about each of its tokens."""
    num_tokens = len(scored.logprobs)
    log_likelihood = math.fsum(scored.logprobs)
    return TextScore(
        perplexity=perplexity_of(log_likelihood, num_tokens),
        log_likelihood=log_likelihood,
        num_tokens=num_tokens,
        num_unknown=encoding.num_unknown,
        bits_per_character=bits_per_character_of(log_likelihood, len(text)),
        tokens=_token_scores(text, encoding, scored) if per_token else [],
        state=scored.state,
    )


def _token_scores(text: str, encoding: Encoding, scored: Scored) -> list[TokenScore]:
    num_tokens = len(scored.logprobs)
    pieces = [text[start:end] for start, end in encoding.offsets]
    offsets = list(encoding.offsets)
    if num_tokens > len(pieces):
        pieces.append(EOS)
        offsets.append((len(text), len(text)))
    is_unknown = [token_id == Tokenizer.unk_id for token_id in encoding.ids]
    is_unknown += [False] * (num_tokens - len(is_unknown))
    rows = zip(pieces, scored.logprobs, scored.ranks, offsets, is_unknown, strict=True)
    return [
        TokenScore(token, logprob, rank, start, end, unknown)
        for token, logprob, rank, (start, end), unknown in rows
    ]
