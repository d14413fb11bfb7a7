"""Vectors within the limits of a request."""

import numpy as np
import pytest

from refrain.app.services.embedding import embed_all
from refrain.inference.errors import TextTooLongError, WrongTaskError
from refrain.inference.local import LocalModel
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve


def test_vectors_are_those_of_the_library(checkpoints) -> None:
    texts = ["The old cat", "A lovely day!"]
    expected = list(LocalModel(checkpoints / "english").embed_all(texts))

    async def body(serving) -> None:
        loaded, vectors, num_tokens = await embed_all(serving, asked(), texts)
        assert np.array_equal(vectors, expected)
        assert num_tokens == 7
        assert loaded.name == "english"

    serve(checkpoints, body)


def test_what_cannot_be_embedded_is_refused(checkpoints) -> None:
    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match="an empty text has no embedding"):
            await embed_all(serving, asked("english"), ["The", ""])
        with pytest.raises(WrongTaskError, match="only recurrent models in int8 embed"):
            await embed_all(serving, asked("counts"), ["The"])
        with pytest.raises(InvalidParameterError, match="have 12 dimensions"):
            await embed_all(serving, asked("english"), ["The"], dimensions=3)
        with pytest.raises(InvalidParameterError, match="at most 2 texts"):
            await embed_all(serving, asked("english"), ["The"] * 3)
        with pytest.raises(TextTooLongError, match="input has 6 tokens"):
            await embed_all(serving, asked("english"), ["cat " * 6], param="input")

    serve(checkpoints, body, ("english", "counts"), max_texts=2, max_score_tokens=5)
