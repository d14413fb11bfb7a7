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
from pathlib import Path

from app.engine.config import EngineConfig
from app.engine.engine import Engine, is_final
from app.engine.precision import Precision, make_runner
from app.engine.sequence import Looked, Outcome, Scored, Sequence, TextState, Written
from app.services.errors import InvalidParameterError
from app.services.next_token import (
    Prediction,
    best_predictions,
    best_spelling,
    num_top_of,
    spellings_of,
)
from app.services.registry import WordIndex
from app.services.scoring import TextScore, text_score
from app.services.sessions import split_tail
from models.checkpoint import load_checkpoint
from models.classifier import Classifier
from models.native.sequence import GREEDY, SamplingParams
from models.native.structures import Purpose


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
        self._engine = Engine(runner, config)
        self._lock = threading.Lock()
        self._words = WordIndex.of(checkpoint)

    def generate(
        self, prompt: str = "", params: SamplingParams = GREEDY, state: TextState | None = None
    ) -> str:
        """Continue a prompt."""
        ids = self.tokenizer.encode(prompt).ids
        written = self._run(Purpose.GENERATE, ids, params=params, start=state)
        assert isinstance(written, Written)
        return self.tokenizer.decode(written.token_ids)

    def score(self, text: str, state: TextState | None = None) -> TextScore:
        """Measure how likely a text is."""
        encoding = self.tokenizer.encode(text)
        if not encoding.ids:
            return text_score(text, encoding, Scored([], []))
        scored = self._run(Purpose.SCORE, encoding.ids, start=state)
        assert isinstance(scored, Scored)
        return text_score(text, encoding, scored)

    def next(
        self,
        prefix: str = "",
        *,
        top_k: int = 10,
        candidates: Ids[str] | None = None,
        state: TextState | None = None,
    ) -> list[Prediction]:
        """Predict what follows a prefix: the likeliest tokens, or the given candidates in their order."""
        shorter = prefix.rstrip() if self.tokenizer.kind == "words" else prefix
        ids = self.tokenizer.encode(shorter).ids
        num_top = num_top_of(top_k, starts_with="") if candidates is None else 0
        looked = self.look(ids, state, num_top=num_top)
        if candidates is None:
            return best_predictions(self.tokenizer, looked, top_k, self._words)
        is_inside = bool(prefix) or state is not None
        return [self._candidate(looked, candidate, is_inside=is_inside) for candidate in candidates]

    def look(self, ids: Ids[int], state: TextState | None = None, *, num_top: int = 0) -> Looked:
        """Give the log-probability of every token after these, the likeliest, and the state to go on from."""
        looked = self._run(Purpose.LOOK, ids, start=state, num_top=num_top)
        assert isinstance(looked, Looked)
        return looked

    def read(self, ids: Ids[int], state: TextState | None = None) -> TextState:
        """Read tokens and give the state to go on from; nothing is predicted."""
        written = self._run(Purpose.GENERATE, ids, params=SamplingParams(max_tokens=0), start=state)
        assert isinstance(written, Written)
        assert written.state is not None
        return written.state

    def session(self, text: str = "") -> LocalSession:
        """Begin a text that grows."""
        session = LocalSession(self)
        session.append(text)
        return session

    def _candidate(self, looked: Looked, candidate: str, *, is_inside: bool) -> Prediction:
        found = []
        for tokens in spellings_of(self.tokenizer, candidate, is_inside=is_inside):
            rest: list[float] = []
            if len(tokens) > 1:
                scored = self._run(Purpose.SCORE, tokens, start=looked.state)
                assert isinstance(scored, Scored)
                rest = scored.logprobs[1:]
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
        )
        if not sequence.native.num_unread:
            raise InvalidParameterError("the text of this state has ended; give it more text")
        with self._lock:
            self._engine.add([sequence])
            self._engine.admit()
            while True:
                for _, outcome in self._engine.step():
                    if is_final(outcome):
                        return outcome


class LocalSession:
    """A text that grows, for a keyboard: what was read is not read again.

    Attributes
    ----------
    state
        The memory of the text up to the word under way; it may be kept, sent, and gone on from.
    """

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.state: TextState | None = None
        self._tail = ""

    def append(self, text: str) -> None:
        """Add what was typed; a word may be cut anywhere."""
        settled, self._tail = split_tail(self._model.tokenizer, self._tail + text)
        if ids := self._model.tokenizer.encode(settled).ids:
            self.state = self._model.read(ids, self.state)

    def next(self, *, top_k: int = 10, candidates: Ids[str] | None = None) -> list[Prediction]:
        """Predict what comes next."""
        return self._model.next(self._tail, top_k=top_k, candidates=candidates, state=self.state)

    def fork(self) -> LocalSession:
        """Give a session that goes on from here by itself."""
        other = LocalSession(self._model)
        other.state, other._tail = self.state, self._tail
        return other
