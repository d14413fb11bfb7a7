"""A classifier in one's own process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from app.services.errors import InvalidParameterError
from app.services.registry import MAX_CLASSIFIER_BATCH, class_probabilities
from app.services.sentiment import Sentiment, sentiment_of
from models.checkpoint import load_checkpoint
from models.classifier import Classifier


class LocalClassifier:
    """A classifier's checkpoint.

    Raises
    ------
    CheckpointError
        If the folder is none, or not whole.
    InvalidParameterError
        If it holds something else.
    """

    def __init__(self, directory: Path | str) -> None:
        self.checkpoint = load_checkpoint(Path(directory))
        if not isinstance(self.checkpoint.model, Classifier):
            raise InvalidParameterError(
                f"{self.checkpoint.name} is a language model, no classifier"
            )
        self._model = self.checkpoint.model

    def classify(self, text: str) -> Sentiment:
        """Tell what a text thinks."""
        return next(self.classify_all([text]))

    def classify_all(self, texts: Iterable[str]) -> Iterator[Sentiment]:
        """Tell what texts think, in their order, in batches such as the service makes of a list."""
        tokenizer, remaining = self.checkpoint.tokenizer, iter(texts)
        while batch := list(islice(remaining, MAX_CLASSIFIER_BATCH)):
            ids = [tokenizer.encode(text).ids for text in batch]
            for row in class_probabilities(self._model, ids, tokenizer.eos_id):
                yield sentiment_of(self._model.config, row, self.checkpoint.name)
