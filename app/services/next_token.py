"""What may come next, within the limits of a request."""

from __future__ import annotations

from collections.abc import Sequence

from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.operation import gather
from refrain.inference.operations.next_token import NextQuery, NextToken, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.models.errors import InvalidParameterError

MAX_PREDICTIONS = 20_000
"""Most predictions of a request with several prefixes; one prefix may have the whole vocabulary's."""


async def predict(
    serving: Serving, asked: Asked, prefixes: Sequence[str], query: NextQuery
) -> tuple[LoadedLanguageModel, list[NextToken]]:
    """Predict what follows each prefix; return the model too."""
    num_texts = len(prefixes) * (1 + len(query.candidates or ()))
    if len(prefixes) > 1 and len(prefixes) * query.top_k > MAX_PREDICTIONS:
        raise InvalidParameterError(
            f"{len(prefixes)} prefixes x top_k {query.top_k} are more than {MAX_PREDICTIONS:,} predictions",
            "top_k",
        )
    if num_texts > serving.settings.max_texts:
        raise InvalidParameterError(
            f"prefixes and candidates make {num_texts} texts; at most {serving.settings.max_texts}",
            "candidates" if query.candidates else "prefix",
        )
    loaded, start = serving.find(asked, "".join(prefixes) or query.starts_with)
    loaded.driver.admit(num_texts)
    tokenizer, limit = loaded.model.tokenizer, serving.settings.max_prompt_tokens
    prompts = await map_texts(
        read_prompt, tokenizer, prefixes, start, max_tokens=limit, param="prefix"
    )
    found = gather(predict_next(loaded.model, prompt, query) for prompt in prompts)
    return loaded, await loaded.driver.run(found, asked.caller)
