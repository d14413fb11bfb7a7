"""What reviews think, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from app.services.registry import LoadedClassifier
from app.services.serving import Asked, Serving, off_loop
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
    chosen = [registry.classifier(asked.model, language, text, caller) for text in texts]
    results: dict[int, Sentiment] = {}
    for name in dict.fromkeys(loaded.name for loaded in chosen):
        rows = [row for row, loaded in enumerate(chosen) if loaded.name == name]
        some = [texts[row] for row in rows]
        found = await _classify(serving, chosen[rows[0]], some, caller)
        results.update(zip(rows, found, strict=True))
    return [results[row] for row in range(len(texts))]


async def _classify(
    serving: Serving, loaded: LoadedClassifier, texts: list[str], caller: Caller
) -> list[Sentiment]:
    caller.stats.note_model(loaded.name)
    loaded.driver.admit(len(texts))
    config = loaded.checkpoint.config
    assert isinstance(config, ClassifierConfig)
    limit = serving.settings.max_classify_tokens
    encoding = partial(encode, loaded.checkpoint.tokenizer, max_tokens=limit)
    encodings = [await off_loop(len(text), partial(encoding, text)) for text in texts]
    rows = await loaded.driver.run([each.ids for each in encodings], caller)
    return [sentiment_of(config, row, loaded.name) for row in rows]
