"""What reviews think, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.app.services.registry import LoadedClassifier
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.operations.classification import Sentiment, sentiment_of
from refrain.inference.operations.encoding import encode
from refrain.models.config import ClassifierConfig


async def classify(
    serving: Serving, asked: Asked, texts: Sequence[str], language: str | None
) -> list[Sentiment]:
    """Classify texts, each by the model of its own language unless one is named."""
    serving.require_few(len(texts), "texts", "text")
    caller, find = asked.caller, serving.registry.find
    chosen = [find(LoadedClassifier, asked.model, text, caller, language) for text in texts]
    results: dict[int, Sentiment] = {}
    for loaded in {each.name: each for each in chosen}.values():
        rows = [row for row, each in enumerate(chosen) if each is loaded]
        caller.stats.note_model(loaded.name)
        loaded.driver.admit(len(rows))
        config, tokenizer = loaded.checkpoint.config, loaded.checkpoint.tokenizer
        assert isinstance(config, ClassifierConfig)
        limit, its_texts = serving.settings.max_classify_tokens, [texts[row] for row in rows]
        encodings = await map_texts(encode, tokenizer, its_texts, max_tokens=limit)
        found = await loaded.driver.run([each.ids for each in encodings], caller)
        for row, probabilities in zip(rows, found, strict=True):
            results[row] = sentiment_of(config, probabilities, loaded.name)
    return [results[row] for row in range(len(texts))]
