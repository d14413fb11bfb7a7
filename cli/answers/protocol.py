"""The operations that a command may request, whatever answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from refrain.inference.operations.embedding import Pooling
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams

Answer = dict[str, Any]
"""What the route of the same name answers for one text, with the model's name."""


class Answers(Protocol):
    """One answer for each text, in order; a model is chosen once, by the first texts.

    Attributes
    ----------
    max_texts
        Texts that may be asked about at a time.
    """

    max_texts: int

    def generate(
        self, prompts: Sequence[str], params: GenerationParams, seed: int | None
    ) -> Iterator[Answer]:
        """Continue prompts, each as a request of its own."""

    def stream(self, prompt: str, params: GenerationParams, seed: int | None) -> Iterator[str]:
        """Continue one prompt; yield its text as it is written."""

    def score(self, texts: Sequence[str], params: ScoreParams) -> Iterator[Answer]:
        """Measure texts."""

    def next(self, prefixes: Sequence[str], query: NextQuery) -> Iterator[Answer]:
        """Predict what follows prefixes."""

    def rescore(
        self, context: str, hypotheses: Sequence[Hypothesis], params: RescoringParams
    ) -> Answer:
        """Order hypotheses by their own score and by how they read."""

    def embed(self, texts: Sequence[str], pooling: Pooling) -> Iterator[Answer]:
        """Turn texts to vectors."""

    def sentiment(self, texts: Sequence[str], language: str | None) -> Iterator[Answer]:
        """Judge reviews, each by the model of its own language unless one is named."""

    def close(self) -> None:
        """Release what is open."""
