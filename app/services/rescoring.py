"""Which hypothesis of a recogniser reads best, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.operations.encoding import encode
from refrain.inference.operations.rescoring import Hypothesis, Rescored, RescoringParams, rescore
from refrain.models.text.text_borders import with_space


async def order(
    serving: Serving,
    asked: Asked,
    context: str,
    hypotheses: Sequence[Hypothesis],
    params: RescoringParams,
) -> tuple[LoadedLanguageModel, list[Rescored]]:
    """Score hypotheses after a context that is read once, and order them; return the model too."""
    serving.require_few(len(hypotheses), "hypotheses", "hypotheses")
    sample = context + "".join(each.text[:100] for each in hypotheses)
    loaded, start = serving.find(asked, sample)
    loaded.driver.admit(len(hypotheses))
    tokenizer, limit = loaded.model.tokenizer, serving.settings.max_prompt_tokens
    [before] = await map_texts(encode, tokenizer, [context], max_tokens=limit, param="context")
    is_inside = bool(before.ids) or start is not None
    texts = [with_space(tokenizer, each.text, is_inside=is_inside) for each in hypotheses]
    encodings = await map_texts(encode, tokenizer, texts, max_tokens=limit, param="hypotheses")
    pairs = list(zip(hypotheses, encodings, strict=True))
    operation = rescore(loaded.model, before.ids, pairs, params, start)
    return loaded, await loaded.driver.run(operation, asked.caller)
