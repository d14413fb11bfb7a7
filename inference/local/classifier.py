"""A classifier in one's own process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from refrain.inference.errors import WrongTaskError
from refrain.inference.operations.classification import MAX_BATCH, Sentiment, sentiment_of
from refrain.models.checkpoint import find_checkpoint, load_checkpoint
from refrain.models.networks.classifier import Classifier


class LocalClassifier:
    """A classifier's checkpoint.

    Parameters
    ----------
    directory
        Its folder, or its name: one of the folder `checkpoints` here, or a shipped model such as "sentiment-en".

    Raises
    ------
    CheckpointError
        If there is none, or it is not whole.
    WrongTaskError
        If it holds something else.
    """

    def __init__(self, directory: Path | str) -> None:
        self.checkpoint = load_checkpoint(find_checkpoint(directory))
        if not isinstance(self.checkpoint.model, Classifier):
            raise WrongTaskError(f"{self.checkpoint.name} is a language model, no classifier")
        self._model = self.checkpoint.model

    def classify(self, text: str) -> Sentiment:
        """Judge a text."""
        return next(self.classify_all([text]))

    def classify_all(self, texts: Iterable[str]) -> Iterator[Sentiment]:
        """Judge texts, in their order, in batches such as the service makes of a list."""
        tokenizer, remaining = self.checkpoint.tokenizer, iter(texts)
        while batch := list(islice(remaining, MAX_BATCH)):
            ids = [tokenizer.encode(text).ids for text in batch]
            for row in self._model.probabilities(ids, tokenizer.eos_id):
                yield sentiment_of(self._model.config, row, self.checkpoint.name)
