"""A model in one's own process, for those who cannot afford HTTP: the same engine, the same numbers, no thread.

from app.local import LocalModel

model = LocalModel("checkpoints/english")
model.next("The capital of the United", top_k=3)     # [Prediction(token=" States", ...), ...]
keyboard = model.session("Dear Sir")
keyboard.append(", I am")
keyboard.next(candidates=["writing", "riding"])
"""

from __future__ import annotations

import threading
from collections.abc import Sequence as Ids
from dataclasses import replace
from pathlib import Path

from app.engine.config import EngineConfig
from app.engine.engine import Engine
from app.engine.precision import Precision, make_runner
from app.engine.sequence import Looked, Outcome, Scored, Sequence, TextState, Written
from app.services.encoding import cut_blanks, without_unknown
from app.services.errors import InvalidParameterError
from app.services.next_token import (
    Prediction,
    among,
    best_predictions,
    best_spelling,
    blended,
    compared_predictions,
    compared_tokens,
    num_top_of,
    spellings_of,
)
from app.services.registry import WordIndex
from app.services.scoring import TextScore, text_score
from app.services.sessions import cache_config_of, pieces_of, remember, split_tail
from models.checkpoint import load_checkpoint
from models.classifier import Classifier
from models.native.sequence import GREEDY, CacheView, SamplingParams
from models.native.structures import Purpose
from models.neural_cache import NeuralCache


class LocalModel:
    """A language model's checkpoint and an engine of its own.

    Calls from several threads are made one after another; each answers with what the service would.

    Parameters
    ----------
    directory
        A checkpoint.
    precision
        "auto" (int8 where it is fast), "int8", "bf16" or "fp32".
    num_threads
        Threads that share a step. One is best for one text at a time.

    Raises
    ------
    CheckpointError
        If the folder is none, or not whole.
    InvalidParameterError
        If it holds a classifier.
    """

    def __init__(
        self, directory: Path | str, *, precision: Precision = "auto", num_threads: int = 1
    ) -> None:
        checkpoint = load_checkpoint(Path(directory))
        if isinstance(checkpoint.model, Classifier):
            raise InvalidParameterError(f"{checkpoint.name} is a classifier, no language model")
        config = EngineConfig(num_threads=num_threads)
        self.checkpoint = checkpoint
        self.tokenizer = checkpoint.tokenizer
        self.precision, runner = make_runner(
            checkpoint.model, precision, config, boundary_id=self.tokenizer.eos_id
        )
        self._runner = runner
        self._engine = Engine(runner, config)
        self._lock = threading.Lock()
        self._words = WordIndex.of(checkpoint)

    def generate(
        self, prompt: str = "", params: SamplingParams = GREEDY, state: TextState | None = None
    ) -> str:
        """Continue a prompt; `<unk>` is never written."""
        text, _ = cut_blanks(self.tokenizer, prompt)
        ids = self.tokenizer.encode(text).ids
        sampling = replace(params, logit_bias=without_unknown(self.tokenizer, params.logit_bias))
        written = self._run(Purpose.GENERATE, ids, params=sampling, start=state)
        assert isinstance(written, Written)
        return self.tokenizer.decode(written.token_ids)

    def score(self, text: str, state: TextState | None = None) -> TextScore:
        """Measure how likely a text is."""
        encoding = self.tokenizer.encode(text)
        if not encoding.ids:
            return text_score(text, encoding, Scored([], []), per_token=True)
        scored = self._run(Purpose.SCORE, encoding.ids, start=state)
        assert isinstance(scored, Scored)
        return text_score(text, encoding, scored, per_token=True)

    def next(
        self,
        prefix: str = "",
        *,
        top_k: int = 10,
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
        state: TextState | None = None,
        cache: NeuralCache | None = None,
    ) -> list[Prediction]:
        """Predict what follows a prefix: the likeliest tokens, or the given candidates in their order.

        With `among_candidates` probabilities are those among the candidates alone, each of one token, which is
        several times as fast.
        """
        text, _ = cut_blanks(self.tokenizer, prefix)
        ids = self.tokenizer.encode(text).ids
        num_top = num_top_of(top_k, starts_with="") if candidates is None else 0
        view = cache.view() if cache else None
        is_inside = bool(prefix) or state is not None
        if among_candidates and candidates is None:
            raise InvalidParameterError("among_candidates needs candidates", "candidates")
        if candidates is not None and among_candidates:
            return self._compare(ids, candidates, state, view, is_inside=is_inside)
        looked = self._look(ids, state, num_top=num_top, cache=view)
        if candidates is None:
            return best_predictions(self.tokenizer, looked, top_k, self._words)
        return [
            self._candidate(looked, candidate, is_inside=is_inside, cache=view)
            for candidate in candidates
        ]

    def look(self, ids: Ids[int], state: TextState | None = None) -> Looked:
        """Give the log-probability of every token after these, and the state to go on from."""
        return self._look(ids, state, num_top=0, cache=None)

    def _look(
        self, ids: Ids[int], state: TextState | None, *, num_top: int, cache: CacheView | None
    ) -> Looked:
        only_top = num_top > 0
        looked = self._run(
            Purpose.LOOK, ids, start=state, num_top=num_top, cache=cache, only_top=only_top
        )
        assert isinstance(looked, Looked)
        return looked

    def read(self, ids: Ids[int], state: TextState | None = None) -> TextState:
        """Read tokens and give the state to go on from; nothing is predicted."""
        written = self._run(Purpose.GENERATE, ids, params=SamplingParams(max_tokens=0), start=state)
        assert isinstance(written, Written)
        assert written.state is not None
        return written.state

    def session(self, text: str = "", *, adaptive: bool = False) -> LocalSession:
        """Begin a text that grows; an adaptive one makes words that it has had likelier.

        Raises
        ------
        InvalidParameterError
            If the model cannot adapt: only those in int8 can.
        """
        session = LocalSession(self, self._new_cache() if adaptive else None)
        session.append(text)
        return session

    def remember(self, cache: NeuralCache, ids: Ids[int], state: TextState | None) -> TextState:
        """Read tokens as `read` does, and keep them in a cache."""
        scored = self._run(Purpose.SCORE, ids, start=state, cache=cache.view())
        assert isinstance(scored, Scored)
        assert scored.state is not None
        remember(cache, ids, scored)
        return scored.state

    def _new_cache(self) -> NeuralCache:
        size = self._runner.hidden_size
        return NeuralCache(cache_config_of(self.checkpoint, size, self.precision), size)

    def _compare(
        self,
        ids: Ids[int],
        candidates: Ids[str],
        state: TextState | None,
        cache: CacheView | None,
        *,
        is_inside: bool,
    ) -> list[Prediction]:
        spellings = [spellings_of(self.tokenizer, each, is_inside=is_inside) for each in candidates]
        compared = compared_tokens(self.tokenizer, candidates, spellings)
        restricted = () if cache else compared
        looked = self._run(Purpose.LOOK, ids, start=state, cache=cache, candidates=restricted)
        assert isinstance(looked, Looked)
        logprobs = dict(zip(compared, among(compared, looked).tolist(), strict=True))
        return compared_predictions(candidates, spellings, logprobs, self.tokenizer.unk_id)

    def _candidate(
        self, looked: Looked, candidate: str, *, is_inside: bool, cache: CacheView | None
    ) -> Prediction:
        found = []
        assert looked.log_probs is not None
        for tokens in spellings_of(self.tokenizer, candidate, is_inside=is_inside):
            rest: list[float] = []
            if len(tokens) > 1:
                scored = self._run(Purpose.SCORE, tokens, start=looked.state, cache=cache)
                assert isinstance(scored, Scored)
                rest = blended(scored, cache)[1:]
            found.append((tokens, [float(looked.log_probs[tokens[0]]), *rest]))
        return best_spelling(candidate, found, self.tokenizer.unk_id)

    def _run(
        self,
        purpose: Purpose,
        ids: Ids[int],
        *,
        params: SamplingParams = GREEDY,
        start: TextState | None = None,
        num_top: int = 0,
        cache: CacheView | None = None,
        candidates: Ids[int] = (),
        only_top: bool = False,
    ) -> Outcome:
        sequence = Sequence.make(
            purpose,
            self.tokenizer.eos_id,
            ids,
            vocab_size=self.tokenizer.vocab_size,
            params=params,
            start=start,
            num_top=num_top,
            wants_state=True,
            cache=cache,
            candidates=candidates,
            only_top=only_top,
        )
        if not sequence.native.num_unread:
            raise InvalidParameterError("the text of this state has ended; give it more text")
        with self._lock:
            return self._engine.answer(sequence)


class LocalSession:
    """A text that grows, for a keyboard: what was read is not read again.

    Attributes
    ----------
    state
        The memory of the text up to the word under way; it may be kept, sent, and gone on from.
    """

    def __init__(self, model: LocalModel, cache: NeuralCache | None = None) -> None:
        self._model = model
        self._cache = cache
        self.state: TextState | None = None
        self._tail = ""

    def append(self, text: str) -> None:
        """Add what was typed; a word may be cut anywhere."""
        settled, self._tail = split_tail(self._model.tokenizer, self._tail + text)
        ids = self._model.tokenizer.encode(settled).ids
        if self._cache:
            for some in pieces_of(ids):
                self.state = self._model.remember(self._cache, some, self.state)
        elif ids:
            self.state = self._model.read(ids, self.state)

    def next(
        self,
        *,
        top_k: int = 10,
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
    ) -> list[Prediction]:
        """Predict what comes next, as `LocalModel.next` does."""
        return self._model.next(
            self._tail,
            top_k=top_k,
            candidates=candidates,
            among_candidates=among_candidates,
            state=self.state,
            cache=self._cache,
        )

    def fork(self) -> LocalSession:
        """Give a session that goes on from here by itself."""
        other = LocalSession(self._model, self._cache.copy() if self._cache else None)
        other.state, other._tail = self.state, self._tail
        return other
