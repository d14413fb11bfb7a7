"""Texts to vectors: the mean, or the last, of a language model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from refrain.inference.engine.request import Request, Written
from refrain.inference.errors import WrongTaskError
from refrain.inference.operation import Operation
from refrain.inference.operations.text_model import TextModel
from refrain.models.errors import InvalidParameterError
from refrain.models.int8 import ZERO_POINT

Pooling = Literal["mean", "last"]
STRIDE = 1_024
"""Tokens of a text whose states are in memory together."""


def require_embeddings(model: TextModel) -> None:
    """Refuse a model that reports no hidden states.

    Raises
    ------
    WrongTaskError
        If it is such a model.
    """
    if not model.shape.hidden_size:
        served = f"{model.name} is served in {model.precision}"
        raise WrongTaskError(f"{served}; only recurrent models in int8 embed texts")


def embed(
    model: TextModel, ids: Sequence[int], pooling: Pooling = "mean", param: str = "text"
) -> Operation[NDArray[np.float32]]:
    """Embed a text by what a language model remembers of it: float32 [units], of unit length.

    The hidden states are those of the last layer, 8-bit integers, so that a text has one vector, whatever is served
    beside it.

    Raises
    ------
    WrongTaskError
        If the model reports no hidden states.
    InvalidParameterError
        If there is no token, or no such pooling.
    """
    require_embeddings(model)
    if pooling not in get_args(Pooling):
        raise InvalidParameterError(f"pooling is mean or last, not {pooling!r}", "pooling")
    if not ids:
        raise InvalidParameterError("an empty text has no embedding", param)
    size, state = model.num_units, None
    # Whole numbers, so the sum is exact; what pads a state to whole blocks is left out.
    total = np.zeros(size, np.int64)
    for first in range(0, len(ids), STRIDE):
        found = yield Request.read(ids[first : first + STRIDE], state, hidden=True)
        assert isinstance(found, Written)
        assert found.hidden is not None
        # Before the tokens stands `<eos>`, or the last one of the block before.
        kept = found.hidden[-1:] if pooling == "last" else found.hidden[1:]
        summed = kept[:, :size].sum(axis=0, dtype=np.int64) - ZERO_POINT * len(kept)
        total = summed if pooling == "last" else total + summed
        state = found.state
    vector = total.astype(np.float64)
    length = max(float(np.linalg.norm(vector)), 1e-30)
    return (vector / length).astype(np.float32)
