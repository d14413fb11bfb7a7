"""How likely texts are, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.operation import gather
from refrain.inference.operations.encoding import encode
from refrain.inference.operations.scoring import PLAIN_SCORE, ScoreParams, TextScore, score_text


async def score(
    serving: Serving, asked: Asked, texts: Sequence[str], params: ScoreParams = PLAIN_SCORE
) -> tuple[LoadedLanguageModel, list[TextScore]]:
    """Score texts, each from its beginning or after a state; return the model too."""
    serving.require_few(len(texts), "texts", "text")
    loaded, start = serving.find(asked, "".join([text[:500] for text in texts]))
    loaded.driver.admit(len(texts))
    model, limit = loaded.model, serving.settings.max_score_tokens
    encodings = await map_texts(encode, model.tokenizer, texts, max_tokens=limit)
    pairs = zip(texts, encodings, strict=True)
    scores = gather(score_text(model, *pair, params, start) for pair in pairs)
    return loaded, await loaded.driver.run(scores, asked.caller)
