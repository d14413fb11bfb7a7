"""Texts to vectors, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.services.registry import LoadedLanguageModel
from app.services.serving import Asked, Serving, off_loop
from inference.operation import gather
from inference.operations.embedding import Pooling, embed, require_embeddings
from inference.operations.prompt import read_prompt
from models.errors import InvalidParameterError


@dataclass(frozen=True)
class Embeddings:
    """Vectors of unit length, float32 [units] each, and how many tokens were read."""

    loaded: LoadedLanguageModel
    vectors: list[NDArray[np.float32]]
    num_tokens: int


async def embed_all(
    serving: Serving,
    asked: Asked,
    given: Sequence[str | Sequence[int]],
    *,
    pooling: Pooling = "mean",
    dimensions: int | None = None,
    with_names: bool = False,
    param: str = "text",
) -> Embeddings:
    """Embed texts, or the texts of token ids, by what a language model remembers of them."""
    serving.require_few(len(given), "texts", param)
    sample = "".join(text[:500] for text in given if isinstance(text, str))
    loaded, _ = serving.find(asked, sample)
    require_embeddings(loaded.model)
    size = loaded.model.num_units
    if dimensions not in (None, size):
        raise InvalidParameterError(f"this model's vectors have {size} dimensions", "dimensions")
    loaded.driver.admit(len(given))
    reading = partial(
        read_prompt,
        loaded.model.tokenizer,
        max_tokens=serving.settings.max_score_tokens,
        with_names=with_names,
        param=param,
    )
    prompts = [await off_loop(len(text), partial(reading, text)) for text in given]
    vectors = gather(embed(loaded.model, each.ids, pooling, param) for each in prompts)
    found = await loaded.driver.run(vectors, asked.caller)
    return Embeddings(loaded, found, sum(each.num_given for each in prompts))
