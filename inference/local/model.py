"""A language model in one's own process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Predicted, Request, TextState
from refrain.inference.loading import load_engine
from refrain.inference.local.session import LocalSession
from refrain.inference.operation import Delta, predicted, read
from refrain.inference.operations.embedding import Pooling, embed
from refrain.inference.operations.encoding import require_something_to_read
from refrain.inference.operations.generation import Generation, GenerationParams, generate
from refrain.inference.operations.next_token import TOP_TEN, NextQuery, NextToken, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.rescoring import Hypothesis, Rescored, RescoringParams, rescore
from refrain.inference.operations.scoring import PLAIN_SCORE, ScoreParams, TextScore, score_text
from refrain.inference.operations.session import GrowingText
from refrain.inference.runners.precision import Precision
from refrain.models.checkpoint import find_checkpoint, load_checkpoint
from refrain.models.native.step.sampling import GREEDY, SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.text.piece_encoder import PieceEncoder
from refrain.models.text.text_borders import with_space


class LocalModel:
    """A language model's checkpoint and an engine of its own.

    Several threads may ask at once; each is answered with what the service would.

    Parameters
    ----------
    directory
        A checkpoint's folder, or its name: one of the folder `checkpoints` here, or a shipped model such as "tang".
    precision
        "auto" (int8 where it is fast), "int8", "bf16" or "fp32".
    num_threads
        Threads that share a step. One is best for one text at a time.
    max_slots
        Texts that advance together.

    Raises
    ------
    CheckpointError
        If there is none, or it is not whole.
    WrongTaskError
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
        self.checkpoint = load_checkpoint(find_checkpoint(directory))
        self.tokenizer = self.checkpoint.tokenizer
        # Nobody else asks in this process, so any number of texts may wait.
        config = EngineConfig(max_slots=max_slots, max_queue=1 << 30, num_threads=num_threads)
        self.model, engine = load_engine(self.checkpoint, config, precision)
        self.precision = self.model.precision
        self.driver = BlockingDriver(engine)
        self._piece_encoder = PieceEncoder(self.tokenizer)

    def generate(
        self, prompt: str = "", params: SamplingParams = GREEDY, state: TextState | None = None
    ) -> str:
        """Continue a prompt; `<unk>` is never written. Its seed is that of `params`."""
        prompts, asked = [read_prompt(self.tokenizer, prompt, state)], GenerationParams(params)
        return self.driver.run(generate(self.model, prompts, asked, params.seed)).choices[0].text

    def generate_all(
        self,
        prompts: Iterable[str],
        params: GenerationParams,
        seeds: Iterable[int | None] | None = None,
    ) -> Iterator[Generation]:
        """Continue prompts side by side; answers come in their order, as soon as they are there.

        `seeds` has one for each prompt, None to have it drawn; without them all have that of `params.sampling`.
        """
        seeds = repeat(params.sampling.seed) if seeds is None else seeds
        return self.driver.run_all(
            generate(self.model, [read_prompt(self.tokenizer, prompt)], params, seed)
            for prompt, seed in zip(prompts, seeds, strict=False)
        )

    def stream(
        self, prompt: str, params: GenerationParams, state: TextState | None = None
    ) -> Generator[Delta, None, Generation]:
        """Continue a prompt; yield each piece of text as it is written, and return the whole.

        Raises
        ------
        InvalidParameterError
            If the text is known only at the end: that of a search, or the best of several.
        """
        prompts, streamed = (
            [read_prompt(self.tokenizer, prompt, state)],
            replace(params, stream=True),
        )
        return self.driver.stream(generate(self.model, prompts, streamed, params.sampling.seed))

    def score(self, text: str, state: TextState | None = None) -> TextScore:
        """Measure how likely a text is, and each of its tokens; the state to go on from comes along."""
        params = ScoreParams(per_token=True, return_state=True)
        encoding = self.tokenizer.encode(text)
        return self.driver.run(score_text(self.model, text, encoding, params, state))

    def score_all(
        self,
        texts: Iterable[str],
        params: ScoreParams = PLAIN_SCORE,
        may_take: Callable[[], bool] = lambda: True,
    ) -> Iterator[TextScore]:
        """Measure texts side by side; answers come in their order, as soon as they are there.

        Texts are taken from their iterator as there is room, at most some thousands ahead, and only if `may_take()`.
        """
        encode = self.tokenizer.encode if params.per_token else self._piece_encoder.encode
        scores = (score_text(self.model, text, encode(text), params) for text in texts)
        return self.driver.run_all(scores, may_take)

    def next(
        self, prefix: str = "", query: NextQuery = TOP_TEN, state: TextState | None = None
    ) -> NextToken:
        """Predict what follows a prefix: the likeliest tokens, and the candidates that are asked about."""
        prompt = read_prompt(self.tokenizer, prefix, state, param="prefix")
        return self.driver.run(predict_next(self.model, prompt, query))

    def next_all(self, prefixes: Iterable[str], query: NextQuery) -> Iterator[NextToken]:
        """Predict what follows prefixes, side by side: tokens and candidates; answers come in their order."""
        prompts = (read_prompt(self.tokenizer, each, param="prefix") for each in prefixes)
        return self.driver.run_all(predict_next(self.model, each, query) for each in prompts)

    def rescore(
        self,
        hypotheses: Sequence[Hypothesis],
        params: RescoringParams | None = None,
        *,
        context: str = "",
        state: TextState | None = None,
    ) -> list[Rescored]:
        """Order what a recogniser proposes by its own score and by how it reads, best first."""
        tokenizer, before = self.tokenizer, self.tokenizer.encode(context).ids
        is_inside = bool(before) or state is not None
        texts = [with_space(tokenizer, each.text, is_inside=is_inside) for each in hypotheses]
        pairs = list(zip(hypotheses, map(tokenizer.encode, texts), strict=True))
        operation = rescore(self.model, before, pairs, params or RescoringParams(), state)
        return self.driver.run(operation)

    def embed(self, text: str, pooling: Pooling = "mean") -> NDArray[np.float32]:
        """Return a text's vector of unit length: what the model remembers of it."""
        return next(self.embed_all([text], pooling))

    def embed_all(
        self, texts: Iterable[str], pooling: Pooling = "mean"
    ) -> Iterator[NDArray[np.float32]]:
        """Return the vectors of texts, in their order."""
        encoded = (self.tokenizer.encode(text).ids for text in texts)
        return self.driver.run_all(embed(self.model, ids, pooling) for ids in encoded)

    def predict(self, ids: Sequence[int], state: TextState | None = None) -> Predicted:
        """Return the log-probability of every token after these, and the state to go on from."""
        require_something_to_read(state, ids, "prefix")
        want = Want(state=True)
        return self.driver.run(predicted(Request(Purpose.PREDICT, ids, state, want=want)))

    def read(self, ids: Sequence[int], state: TextState | None = None) -> TextState:
        """Read tokens and return the state to go on from; nothing is predicted."""
        require_something_to_read(state, ids, "text")
        return self.driver.run(read(ids, state))

    def session(self, text: str = "", *, adaptive: bool = False) -> LocalSession:
        """Begin a text that grows; an adaptive one makes words that it has had likelier.

        Raises
        ------
        InvalidParameterError
            If the model cannot adapt: only those in int8 can.
        """
        cache = self.model.new_cache() if adaptive else None
        session = LocalSession(self.model, self.driver, GrowingText(cache=cache))
        session.append(text)
        return session
