"""What may be asked of a language model, as questions for a desk: text in, text out, one sequence after another."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence as Ids

from app.engine.desk import Question
from app.engine.sequence import Looked, Scored, Sequence, TextState, Written
from app.services.encoding import cut_blanks, require_something_to_read
from app.services.next_token import (
    NextToken,
    Prediction,
    among,
    best_predictions,
    best_spelling,
    blended,
    compared_predictions,
    compared_tokens,
    entropy_of,
    num_top_of,
    spellings_of,
)
from app.services.registry import WordIndex
from app.services.scoring import TextScore, bits_per_character_of, perplexity_of, text_score
from models.native.sequence import CacheView, SamplingParams
from models.native.structures import Purpose
from models.pieces import PieceMemo, last_border, pieces
from models.tokenizer import Tokenizer

STRIDE = 16_384
"""Tokens of a text that are scored in one go; a longer one goes on from the state, to the same numbers."""
BLOCK = 4_194_304
"""Characters of a text that are cut to tokens in one go."""


class Questions:
    """The questions that a model's tokenizer and vocabulary allow."""

    def __init__(self, tokenizer: Tokenizer, words: WordIndex) -> None:
        self._tokenizer = tokenizer
        self._words = words
        self._memo = PieceMemo(lambda piece: tuple(tokenizer.encode(piece).ids))

    def look(
        self,
        ids: Ids[int],
        state: TextState | None = None,
        *,
        num_top: int = 0,
        only_top: bool = False,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
    ) -> Question[Looked]:
        """Look beyond tokens; the state to go on from comes along."""
        require_something_to_read(state, [*ids], "prefix")
        looked = yield Sequence.make(
            Purpose.LOOK,
            self._tokenizer.eos_id,
            ids,
            vocab_size=self._tokenizer.vocab_size,
            start=state,
            num_top=num_top,
            only_top=only_top,
            cache=cache,
            candidates=candidates,
            wants_state=True,
        )
        assert isinstance(looked, Looked)
        return looked

    def read(self, ids: Ids[int], state: TextState | None = None) -> Question[TextState]:
        """Read tokens, for the state after them."""
        require_something_to_read(state, [*ids], "text")
        written = yield Sequence.make(
            Purpose.GENERATE,
            self._tokenizer.eos_id,
            ids,
            vocab_size=self._tokenizer.vocab_size,
            params=SamplingParams(max_tokens=0),
            start=state,
            wants_state=True,
        )
        assert isinstance(written, Written)
        assert written.state is not None
        return written.state

    def score_ids(
        self,
        ids: Ids[int],
        state: TextState | None = None,
        *,
        wants_ranks: bool = False,
        wants_state: bool = False,
        cache: CacheView | None = None,
    ) -> Question[Scored]:
        """Score tokens, a stride at a time."""
        if len(ids) <= STRIDE or cache:
            if not len(ids):
                return Scored([], [], state=state if wants_state else None)
            scored = yield self._scoring(ids, state, wants_ranks, wants_state, cache)
            assert isinstance(scored, Scored)
            return scored
        logprobs, ranks = array("f"), array("i")
        for first in range(0, len(ids), STRIDE):
            scored = yield self._scoring(
                ids[first : first + STRIDE], state, wants_ranks, wants_state=True, cache=None
            )
            assert isinstance(scored, Scored)
            state = scored.state
            logprobs.extend(scored.logprobs)
            ranks.extend(scored.ranks)
        return Scored(logprobs, ranks, state=state)

    def score(
        self, text: str, *, count_end: bool, state: TextState | None = None
    ) -> Question[TextScore]:
        """Score every token of a text."""
        encoding = self._tokenizer.encode(text)
        ids = [*encoding.ids, self._tokenizer.eos_id] if count_end else encoding.ids
        scored = yield from self.score_ids(ids, state, wants_ranks=True, wants_state=True)
        return text_score(text, encoding, scored, per_token=True)

    def measure(self, text: str, *, count_end: bool) -> Question[TextScore]:
        """Score a text as a whole: the same figures, in less time and memory."""
        ids = self._ids_of(text)
        num_unknown = ids.count(self._tokenizer.unk_id)
        if count_end:
            ids.append(self._tokenizer.eos_id)
        scored = yield from self.score_ids(ids)
        log_likelihood = math.fsum(scored.logprobs)
        return TextScore(
            perplexity=perplexity_of(log_likelihood, len(ids)),
            log_likelihood=log_likelihood,
            num_tokens=len(ids),
            num_unknown=num_unknown,
            bits_per_character=bits_per_character_of(log_likelihood, len(text)),
            tokens=[],
            state=None,
        )

    def next(
        self,
        prefix: str,
        *,
        top_k: int = 10,
        starts_with: str = "",
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
        state: TextState | None = None,
        cache: CacheView | None = None,
    ) -> Question[NextToken]:
        """Predict what follows a prefix that goes on from a state."""
        tokenizer = self._tokenizer
        text, has_space = cut_blanks(tokenizer, prefix)
        ids = tokenizer.encode(text).ids
        is_inside = bool(ids) or has_space or state is not None
        spellings = [
            spellings_of(tokenizer, each, is_inside=is_inside) for each in candidates or ()
        ]
        if among_candidates:
            assert candidates is not None
            return (yield from self._compare(ids, state, candidates, spellings, cache))
        num_top = num_top_of(top_k, starts_with=starts_with)
        only_top = bool(num_top) and candidates is None
        looked = yield from self.look(ids, state, num_top=num_top, only_top=only_top, cache=cache)
        found = None
        if candidates is not None:
            found = []
            for candidate, each in zip(candidates, spellings, strict=True):
                found.append((yield from self._candidate(looked, candidate, each, cache)))
        predictions = best_predictions(tokenizer, looked, top_k, self._words, starts_with)
        return NextToken(predictions, looked.entropy, found, looked.state)

    def _ids_of(self, text: str) -> array[int]:
        """Turn a text to token ids without looking into a word twice, a block at a time."""
        ids, first = array("i"), 0
        while first < len(text):
            block = text[first : first + BLOCK]
            end = last_border(block) if first + BLOCK < len(text) else len(block)
            cut = pieces(block[:end], by_character=self._tokenizer.kind == "characters")
            ids.extend(self._memo.over(cut))
            first += end
        return ids

    def _compare(
        self,
        ids: list[int],
        state: TextState | None,
        candidates: Ids[str],
        spellings: list[list[list[int]]],
        cache: CacheView | None,
    ) -> Question[NextToken]:
        compared = compared_tokens(self._tokenizer, candidates, spellings)
        restricted = () if cache else compared
        looked = yield from self.look(ids, state, candidates=restricted, cache=cache)
        log_probs = among(compared, looked)
        logprobs = dict(zip(compared, log_probs.tolist(), strict=True))
        found = compared_predictions(candidates, spellings, logprobs, self._tokenizer.unk_id)
        return NextToken([], entropy_of(log_probs), found, looked.state)

    def _candidate(
        self,
        looked: Looked,
        candidate: str,
        spellings: list[list[int]],
        cache: CacheView | None,
    ) -> Question[Prediction]:
        found = []
        assert looked.log_probs is not None
        for tokens in spellings:
            rest: list[float] = []
            if len(tokens) > 1:
                scored = yield from self.score_ids(tokens, looked.state, cache=cache)
                rest = blended(scored, cache)[1:]
            found.append((tokens, [float(looked.log_probs[tokens[0]]), *rest]))
        return best_spelling(candidate, found, self._tokenizer.unk_id)

    def _scoring(
        self,
        ids: Ids[int],
        state: TextState | None,
        wants_ranks: bool,
        wants_state: bool,
        cache: CacheView | None,
    ) -> Sequence:
        return Sequence.make(
            Purpose.SCORE,
            self._tokenizer.eos_id,
            ids,
            vocab_size=self._tokenizer.vocab_size,
            start=state,
            wants_ranks=wants_ranks,
            wants_state=wants_state,
            cache=cache,
        )
