"""Pieces of equal length, cut from one stream of token ids.

Shapes: N tokens of the stream, B rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from refrain.models.text.tokenizer import Tokenizer
from refrain.training.errors import EmptyCorpusError

WARM_UP = 32
"""Characters read before the first one whose gradient is looked at: the very first of a text are like no other."""


def stream(tokenizer: Tokenizer, documents: Sequence[str], distance: int) -> Tensor:
    """Join all documents, with a boundary after each.

    Raises
    ------
    EmptyCorpusError
        If they are shorter than the distance asked for.
    """
    ids = [i for text in tokenizer.encode_batch(documents) for i in (*text, tokenizer.eos_id)]
    if len(ids) < WARM_UP + distance + 2:
        raise EmptyCorpusError(
            f"the text is too short to look back over {distance} characters: lower --distance"
        )
    return torch.tensor(ids)


def crops(stream_N: Tensor, generator: torch.Generator, num_rows: int, length: int) -> Tensor:
    """Cut pieces at random places, [rows, length]."""
    starts_B = torch.randint(len(stream_N) - length + 1, (num_rows,), generator=generator)
    return stream_N[starts_B[:, None] + torch.arange(length)]
