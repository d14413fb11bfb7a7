"""Texts to vectors: the mean, or the last, of a language model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.services.errors import InvalidParameterError, WrongTaskError
from app.services.prompts import Prompt, read_prompt
from app.services.registry import LoadedLanguageModel, Registry
from app.services.together import together
from app.settings import Settings
from models.language_model import LanguageModel

Pooling = Literal["mean", "last"]
ZERO_POINT = 128
STRIDE = 1_024
"""Tokens of a text whose states are in memory together."""


@dataclass(frozen=True)
class Embeddings:
    """Vectors of unit length, float32 [texts, hidden units], and how many tokens were read."""

    model: LoadedLanguageModel
    vectors: NDArray[np.float32]
    num_tokens: int


class EmbeddingService:
    """Embeds texts by what a language model remembers of them.

    The hidden states are those of the last layer, 8-bit integers, so that a text has one vector, whatever is served
    beside it.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    async def embed(
        self,
        given: Sequence[str | Sequence[int]],
        *,
        model: str | None,
        pooling: Pooling = "mean",
        dimensions: int | None = None,
        with_names: bool = False,
        caller: str = "",
        param: str = "text",
    ) -> Embeddings:
        """Embed texts, or the texts of token ids.

        Raises
        ------
        ServiceError
            For an unknown model or one that keeps no 8-bit states, too many or too long texts, and empty ones.
        EngineError
            If the queue is full or the engine has stopped.
        """
        if len(given) > self._settings.max_texts:
            raise InvalidParameterError(f"at most {self._settings.max_texts} texts", param)
        sample = "".join(text[:500] for text in given if isinstance(text, str))
        loaded = self._registry.language_model(model, sample)
        if not loaded.engine.hidden_size:
            raise WrongTaskError(
                f"{loaded.checkpoint.name} is served in {loaded.precision}; only recurrent models in int8 embed texts",
                "model",
            )
        size = _num_dimensions(loaded)
        if dimensions not in (None, size):
            raise InvalidParameterError(
                f"this model's vectors have {size} dimensions", "dimensions"
            )
        loaded.engine.admit(len(given))
        prompts = [
            await read_prompt(
                loaded.checkpoint.tokenizer,
                text,
                None,
                max_tokens=self._settings.max_score_tokens,
                with_names=with_names,
                param=param,
            )
            for text in given
        ]
        if not all(prompt.ids for prompt in prompts):
            raise InvalidParameterError("an empty text has no embedding", param)
        vectors = await together(_vector(loaded, p, pooling, caller) for p in prompts)
        return Embeddings(loaded, np.stack(vectors), sum(p.num_given for p in prompts))


async def _vector(
    loaded: LoadedLanguageModel, prompt: Prompt, pooling: Pooling, caller: str
) -> NDArray[np.float32]:
    size = _num_dimensions(loaded)
    # Whole numbers, so the sum is exact; what pads a state to whole blocks is left out.
    total = np.zeros(size, np.int64)
    async for states in loaded.engine.hidden_states(prompt.ids, stride=STRIDE, caller=caller):
        kept = states[-1:] if pooling == "last" else states
        found = kept[:, :size].sum(axis=0, dtype=np.int64) - ZERO_POINT * len(kept)
        total = found if pooling == "last" and len(kept) else total + found
    vector = total.astype(np.float64)
    unit: NDArray[np.float32] = (vector / max(float(np.linalg.norm(vector)), 1e-30)).astype(
        np.float32
    )
    return unit


def _num_dimensions(loaded: LoadedLanguageModel) -> int:
    assert isinstance(loaded.checkpoint.model, LanguageModel)
    return loaded.checkpoint.model.output_matrix.shape[1]
