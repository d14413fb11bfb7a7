"""Texts to vectors, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.operation import gather
from refrain.inference.operations.embedding import Pooling, embed, require_embeddings
from refrain.inference.operations.prompt import read_prompt
from refrain.models.errors import InvalidParameterError


async def embed_all(
    serving: Serving,
    asked: Asked,
    given: Sequence[str | Sequence[int]],
    *,
    pooling: Pooling = "mean",
    dimensions: int | None = None,
    with_names: bool = False,
    param: str = "text",
) -> tuple[LoadedLanguageModel, list[NDArray[np.float32]], int]:
    """Embed texts, or the texts of token ids, by what a language model remembers of them.

    Return the model, vectors of unit length, float32 [units] each, and how many tokens were read.
    """
    serving.require_few(len(given), "texts", param)
    sample = "".join([text[:500] for text in given if isinstance(text, str)])
    loaded, _ = serving.find(asked, sample)
    model, limit = loaded.model, serving.settings.max_score_tokens
    require_embeddings(model)
    if dimensions not in (None, model.num_units):
        message = f"this model's vectors have {model.num_units} dimensions"
        raise InvalidParameterError(message, "dimensions")
    loaded.driver.admit(len(given))
    prompts = await map_texts(
        read_prompt, model.tokenizer, given, max_tokens=limit, with_names=with_names, param=param
    )
    vectors = gather(embed(model, each.ids, pooling, param) for each in prompts)
    found = await loaded.driver.run(vectors, asked.caller)
    return loaded, found, sum(each.num_given for each in prompts)
