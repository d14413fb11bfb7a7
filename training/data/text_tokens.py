"""Vocabulary and token ids of a text file, made once and kept: a block of text at a time, however long it is.

CACHE/SHA-OF-THE-TEXT/
    words-20000-2.json     a tokenizer: its kind, vocabulary size and least count
    SHA-OF-IT.ids, .json   the training part in its token ids (refrain.training.data.token_file)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from refrain.models.errors import TokenizerError
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data.corpus import TextFileCorpus
from refrain.training.data.token_file import Origin, TokenFile, open_token_file, write_token_file
from refrain.training.errors import CorpusError
from refrain.training.recipe.corpus import TokenizerRecipe
from refrain.training.reporting.progress_bar import progress_bar

MAX_BPE_CHARACTERS = 64_000_000
"""Characters from which byte pairs are learnt; of a longer text, blocks at even distances."""


def tokenizer_of(corpus: TextFileCorpus, recipe: TokenizerRecipe) -> Tokenizer:
    """Return the vocabulary of a text, kept from an earlier run or learnt now.

    Raises
    ------
    CorpusError
        If it cannot be kept.
    """
    read = f"{corpus.train.first}-{corpus.train.last}"
    path = _folder(corpus) / f"{recipe.kind}-{recipe.vocab_size}-{recipe.min_count}-{read}.json"
    try:
        return Tokenizer.from_json(path.read_text("utf-8"), recipe.kind)
    except (OSError, ValueError, TokenizerError):
        pass
    tokenizer = _learn(corpus, recipe)
    _keep(path, tokenizer)
    return tokenizer


def _learn(corpus: TextFileCorpus, recipe: TokenizerRecipe) -> Tokenizer:
    """Learn a vocabulary from the training part."""
    blocks = _with_progress(corpus, "learning a vocabulary")
    if recipe.kind == "bpe":
        blocks = islice(blocks, 0, None, -(-len(corpus.train) // MAX_BPE_CHARACTERS))
    return Tokenizer.train(
        recipe.kind, blocks, vocab_size=recipe.vocab_size, min_count=recipe.min_count
    )


def _keep(path: Path, tokenizer: Tokenizer) -> None:
    """Write a vocabulary whole or not at all."""
    partial = path.with_suffix(f".partial{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(tokenizer.to_json(), "utf-8")
        partial.replace(path)
    except OSError as error:
        raise CorpusError(
            f"the vocabulary cannot be kept in {path.parent}: {error.strerror}; "
            "set REFRAIN_DATA to another folder"
        ) from error


def tokens_of(corpus: TextFileCorpus, tokenizer: Tokenizer) -> TokenFile:
    """Return the token ids of the training part, kept from an earlier run or made now.

    Raises
    ------
    CorpusError
        If they cannot be kept.
    """
    sha256 = hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    part = corpus.train
    origin = Origin(part.file.sha256, sha256, part.first, part.last)
    path = _folder(corpus) / sha256[:16]
    found = open_token_file(path, origin)
    if found is None:
        write_token_file(
            path,
            tokenizer.encode_blocks(_with_progress(corpus, "turning text to tokens")),
            eos_id=tokenizer.eos_id,
            vocab_size=tokenizer.vocab_size,
            origin=origin,
        )
        found = open_token_file(path, origin)
        assert found is not None
    return found


def _folder(corpus: TextFileCorpus) -> Path:
    return corpus.cache / corpus.train.file.sha256[:16]


def _with_progress(corpus: TextFileCorpus, what: str) -> Iterator[str]:
    """Yield the blocks of the training part with a progress bar, which only shows when it takes long."""
    part = corpus.train
    with progress_bar(what, len(part), unit="char", unit_scale=True, delay=2.0) as bar:
        for block in part.blocks():
            yield block
            bar.update(len(block))
