"""Predictions within the limits of a request."""

import pytest

from refrain.app.services.next_token import predict
from refrain.inference.errors import TextTooLongError
from refrain.inference.local import LocalModel
from refrain.inference.operations.next_token import NextQuery
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve


def test_predictions_are_those_of_the_library_in_the_order_of_the_prefixes(checkpoints) -> None:
    prefixes, query = ["The old", "", "A "], NextQuery(4, candidates=["cat", "cat sat"])
    expected = list(LocalModel(checkpoints / "english").next_all(prefixes, query))

    async def body(serving) -> None:
        loaded, found = await predict(serving, asked(), prefixes, query)
        assert loaded.name == "english"
        assert found == expected

    serve(checkpoints, body)


@pytest.mark.parametrize(
    ("prefixes", "query", "message", "param"),
    [
        (["The"] * 3, NextQuery(10_000), "are more than 20,000 predictions", "top_k"),
        (["The"] * 9, NextQuery(1), "make 9 texts; at most 8", "prefix"),
        (["The"] * 3, NextQuery(1, candidates=["a", "b"]), "make 9 texts", "candidates"),
    ],
)
def test_a_request_over_the_limits_is_refused(checkpoints, prefixes, query, message, param) -> None:
    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match=message) as refused:
            await predict(serving, asked(), prefixes, query)
        assert refused.value.param == param
        with pytest.raises(TextTooLongError, match="prefix has 4 tokens"):
            await predict(serving, asked("english"), ["cat cat cat cat"], NextQuery())

    serve(checkpoints, body, ("english",), max_texts=8, max_prompt_tokens=3)


def test_letters_alone_choose_the_model(checkpoints) -> None:
    async def body(serving) -> None:
        loaded, _ = await predict(serving, asked(), [""], NextQuery(starts_with="春"))
        assert loaded.name == "tang"

    serve(checkpoints, body)
