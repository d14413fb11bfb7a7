"""Token ids of a text in a flat file, mapped to memory when it is read: a corpus may be larger than memory.

NAME.ids is the stream as a recurrent network reads it, a boundary, the tokens, a boundary, in 16 or 32 bits each.
NAME.json, written last, says what it is made of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refrain.training.errors import CorpusError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Origin:
    """What token ids were made of: SHA-256 of the text and of the tokenizer, and the part of the text that was read."""

    text: str
    tokenizer: str
    first: int
    last: int


@dataclass(frozen=True)
class TokenFile:
    """A stream of token ids.

    Attributes
    ----------
    stream
        uint16 or uint32, with a boundary at both ends; mapped, not read.
    counts_V
        How often each token follows another, int64.
    """

    stream: NDArray[np.unsignedinteger]
    counts_V: NDArray[np.int64]


def write_token_file(
    path: Path,
    blocks: Iterable[NDArray[np.int64]],
    *,
    eos_id: int,
    vocab_size: int,
    origin: Origin,
) -> None:
    """Write blocks of token ids, with a boundary at both ends; what a kill leaves half done is never taken for whole.

    Parameters
    ----------
    path
        Without an ending: two files are written, `path.ids` and `path.json`.

    Raises
    ------
    CorpusError
        If it cannot be written.
    """
    partial = path.with_suffix(f".partial{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        counts_V = _write_ids(partial, blocks, eos_id, vocab_size)
        partial.replace(path.with_suffix(".ids"))
        partial.write_text(json.dumps(_header(origin, counts_V)), "utf-8")
        partial.replace(path.with_suffix(".json"))
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CorpusError(
            f"the token ids cannot be kept in {path.parent}: {error.strerror or error}; "
            "set REFRAIN_DATA to another folder"
        ) from error


def _write_ids(
    path: Path, blocks: Iterable[NDArray[np.int64]], eos_id: int, vocab_size: int
) -> NDArray[np.int64]:
    """Write the stream, and return how often each token follows another, [V]."""
    dtype = _dtype(vocab_size)
    boundary = np.array([eos_id])
    counts_V = np.zeros(vocab_size, np.int64)
    with path.open("wb") as file:
        file.write(boundary.astype(dtype).tobytes())
        for ids in chain(blocks, (boundary,)):
            file.write(ids.astype(dtype).tobytes())
            counts_V += np.bincount(ids, minlength=vocab_size)
    return counts_V


def _header(origin: Origin, counts_V: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "origin": asdict(origin),
        "dtype": _dtype(len(counts_V)).name,
        "num_tokens": int(counts_V.sum()) + 1,
        "counts": counts_V.tolist(),
    }


def _dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """Return the narrower type that holds every token id."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def open_token_file(path: Path, origin: Origin) -> TokenFile | None:
    """Map what `write_token_file` wrote; None if it is not there, not whole, or made of something else."""
    ids = path.with_suffix(".ids")
    try:
        header = json.loads(path.with_suffix(".json").read_text("utf-8"))
        is_ours = header["format_version"] == FORMAT_VERSION and header["origin"] == asdict(origin)
        dtype, num_tokens = np.dtype(header["dtype"]), header["num_tokens"]
        if not is_ours or ids.stat().st_size != num_tokens * dtype.itemsize:
            return None
        stream = np.memmap(ids, dtype, "r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return TokenFile(stream, np.array(header["counts"], np.int64))
