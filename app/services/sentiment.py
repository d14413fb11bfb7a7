"""What reviews think, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

from app.services.registry import LoadedClassifier
from app.services.serving import Asked, Serving, map_texts
from inference.drivers.engine_thread import Caller
from inference.operations.classification import Sentiment, sentiment_of
from inference.operations.encoding import encode
from models.config import ClassifierConfig


async def classify(
    serving: Serving, asked: Asked, texts: Sequence[str], language: str | None
) -> list[Sentiment]:
    """Classify texts, each by the model of its own language unless one is named."""
    serving.require_few(len(texts), "texts", "text")
    registry, caller = serving.registry, asked.caller
    chosen = [
        registry.find(LoadedClassifier, asked.model, text, caller, language) for text in texts
    ]
    results: dict[int, Sentiment] = {}
    for loaded in {each.name: each for each in chosen}.values():
        rows = [row for row, each in enumerate(chosen) if each is loaded]
        found = await _classify(serving, loaded, [texts[row] for row in rows], caller)
        results.update(zip(rows, found, strict=True))
    return [results[row] for row in range(len(texts))]


async def _classify(
    serving: Serving, loaded: LoadedClassifier, texts: list[str], caller: Caller
) -> list[Sentiment]:
    caller.stats.note_model(loaded.name)
    loaded.driver.admit(len(texts))
    config = loaded.checkpoint.config
    assert isinstance(config, ClassifierConfig)
    tokenizer, limit = loaded.checkpoint.tokenizer, serving.settings.max_classify_tokens
    encodings = await map_texts(encode, tokenizer, texts, max_tokens=limit)
    rows = await loaded.driver.run([each.ids for each in encodings], caller)
    return [sentiment_of(config, row, loaded.name) for row in rows]
