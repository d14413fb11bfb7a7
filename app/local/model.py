"""A language model in one's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Ids
from pathlib import Path

from app.engine.config import EngineConfig
from app.engine.desk import Desk
from app.engine.engine import Engine
from app.engine.precision import Precision, make_runner
from app.engine.sequence import Looked, TextState
from app.local.questions import Questions
from app.local.session import LocalSession
from app.local.writing import Writing, WritingOptions, joined, writing_questions
from app.services.errors import InvalidParameterError
from app.services.next_token import NextToken, Prediction
from app.services.registry import WordIndex
from app.services.scoring import TextScore
from app.services.sessions import cache_config_of, remember
from models.checkpoint import load_checkpoint
from models.classifier import Classifier
from models.native.sequence import GREEDY, SamplingParams
from models.neural_cache import NeuralCache


class LocalModel:
    """A language model's checkpoint and an engine of its own.

    Several threads may ask at once; each is answered with what the service would.

    Parameters
    ----------
    directory
        A checkpoint.
    precision
        "auto" (int8 where it is fast), "int8", "bf16" or "fp32".
    num_threads
        Threads that share a step. One is best for one text at a time.
    max_slots
        Texts that advance together.

    Raises
    ------
    CheckpointError
        If the folder is none, or not whole.
    InvalidParameterError
        If it holds a classifier.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        precision: Precision = "auto",
        num_threads: int = 1,
        max_slots: int = 64,
    ) -> None:
        checkpoint = load_checkpoint(Path(directory))
        if isinstance(checkpoint.model, Classifier):
            raise InvalidParameterError(f"{checkpoint.name} is a classifier, no language model")
        config = EngineConfig(num_threads=num_threads, max_slots=max_slots)
        self.checkpoint = checkpoint
        self.tokenizer = checkpoint.tokenizer
        self.precision, self._runner = make_runner(
            checkpoint.model, precision, config, boundary_id=self.tokenizer.eos_id
        )
        self._desk = Desk(Engine(self._runner, config))
        self._questions = Questions(self.tokenizer, WordIndex.of(checkpoint))

    def generate(
        self, prompt: str = "", params: SamplingParams = GREEDY, state: TextState | None = None
    ) -> str:
        """Continue a prompt; `<unk>` is never written."""
        options = WritingOptions(params, state=state)
        (writing,) = self.generate_all([prompt], options)
        return writing.choices[0].text

    def generate_all(
        self,
        prompts: Iterable[str],
        options: WritingOptions,
        seeds: Iterable[int] | None = None,
    ) -> Iterator[Writing]:
        """Continue prompts side by side; answers come in their order, as soon as they are there.

        `seeds` has one for each prompt; without it all have the options' own.
        """
        questions = writing_questions(self.tokenizer, prompts, options, seeds)
        return joined(self._desk.answer_all(questions), options)

    def score(self, text: str, state: TextState | None = None) -> TextScore:
        """Measure how likely a text is, and each of its tokens."""
        return self._desk.answer(self._questions.score(text, count_end=False, state=state))

    def score_all(
        self,
        texts: Iterable[str],
        *,
        per_token: bool = False,
        count_end: bool = False,
        may_take: Callable[[], bool] = lambda: True,
    ) -> Iterator[TextScore]:
        """Measure texts side by side; answers come in their order, as soon as they are there.

        Texts are taken from their iterator when there is room: at most some thousands beyond the oldest one that has no
        answer yet, and none while `may_take` says no.
        """
        ask = self._questions.score if per_token else self._questions.measure
        questions = (ask(text, count_end=count_end) for text in texts)
        return self._desk.answer_all(questions, may_take)

    def next(
        self,
        prefix: str = "",
        *,
        top_k: int = 10,
        starts_with: str = "",
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
        state: TextState | None = None,
        cache: NeuralCache | None = None,
    ) -> list[Prediction]:
        """Predict what follows a prefix: the likeliest tokens, or the given candidates in their order.

        With `starts_with` only tokens that begin with these letters. With `among_candidates` probabilities are those
        among the candidates alone, each of one token, which is several times as fast.
        """
        if among_candidates and candidates is None:
            raise InvalidParameterError("among_candidates needs candidates", "candidates")
        found = self._desk.answer(
            self._questions.next(
                prefix,
                top_k=top_k if candidates is None else 0,
                starts_with=starts_with if candidates is None else "",
                candidates=candidates,
                among_candidates=among_candidates,
                state=state,
                cache=cache.view() if cache else None,
            )
        )
        return found.predictions if found.candidates is None else found.candidates

    def next_all(
        self,
        prefixes: Iterable[str],
        *,
        top_k: int = 10,
        starts_with: str = "",
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
    ) -> Iterator[NextToken]:
        """Predict what follows prefixes, side by side: tokens and candidates; answers come in their order."""
        return self._desk.answer_all(
            self._questions.next(
                prefix,
                top_k=top_k,
                starts_with=starts_with,
                candidates=candidates,
                among_candidates=among_candidates,
            )
            for prefix in prefixes
        )

    def look(self, ids: Ids[int], state: TextState | None = None) -> Looked:
        """Give the log-probability of every token after these, and the state to go on from."""
        return self._desk.answer(self._questions.look(ids, state))

    def read(self, ids: Ids[int], state: TextState | None = None) -> TextState:
        """Read tokens and give the state to go on from; nothing is predicted."""
        return self._desk.answer(self._questions.read(ids, state))

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
        question = self._questions.score_ids(ids, state, wants_state=True, cache=cache.view())
        scored = self._desk.answer(question)
        assert scored.state is not None
        remember(cache, ids, scored)
        return scored.state

    def _new_cache(self) -> NeuralCache:
        size = self._runner.hidden_size
        return NeuralCache(cache_config_of(self.checkpoint, size, self.precision), size)
