"""What a review thinks: its class, the probabilities, and stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.services.encoding import encode
from app.services.errors import InvalidParameterError
from app.services.registry import LoadedClassifier, Registry, asked
from app.settings import Settings
from models.config import ClassifierConfig


@dataclass(frozen=True)
class Sentiment:
    """The sentiment of one text; stars from 0 to 5 are the expected score of its class."""

    label: str
    probabilities: dict[str, float]
    stars: float
    model: str


class SentimentService:
    """Classifies texts."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    async def classify(
        self, texts: Sequence[str], *, model: str | None, language: str | None
    ) -> list[Sentiment]:
        """Classify texts, each by the model of its own language unless one is named.

        Raises
        ------
        ServiceError
            For an unknown model, too many or too long texts.
        EngineError
            If the queue is full or the engine has stopped.
        """
        if len(texts) > self._settings.max_texts:
            raise InvalidParameterError(f"at most {self._settings.max_texts} texts", "text")
        chosen = [self._registry.classifier(model, language, text) for text in texts]
        results: list[Sentiment | None] = [None] * len(texts)
        for name in {loaded.checkpoint.name for loaded in chosen}:
            rows = [i for i, loaded in enumerate(chosen) if loaded.checkpoint.name == name]
            answers = await self._classify(chosen[rows[0]], [texts[i] for i in rows])
            for row, answer in zip(rows, answers, strict=True):
                results[row] = answer
        return [result for result in results if result is not None]

    async def _classify(self, loaded: LoadedClassifier, texts: list[str]) -> list[Sentiment]:
        asked(loaded).engine.admit(len(texts))
        config = loaded.checkpoint.config
        assert isinstance(config, ClassifierConfig)
        ids: list[Sequence[int]] = [
            (
                await encode(
                    loaded.checkpoint.tokenizer,
                    text,
                    max_tokens=self._settings.max_classify_tokens,
                    param="text",
                )
            ).ids
            for text in texts
        ]
        rows = await loaded.engine.submit(ids)
        return [sentiment_of(config, row, loaded.checkpoint.name) for row in rows]


def sentiment_of(config: ClassifierConfig, probabilities: list[float], model: str) -> Sentiment:
    """Read class probabilities as a sentiment."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    score = sum(p * s for p, s in zip(probabilities, config.label_scores, strict=True))
    return Sentiment(
        label=config.labels[best],
        probabilities=dict(zip(config.labels, probabilities, strict=True)),
        stars=5 * min(1.0, max(0.0, score)),
        model=model,
    )
