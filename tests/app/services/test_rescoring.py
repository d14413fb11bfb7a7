"""Hypotheses within the limits of a request."""

import pytest

from refrain.app.services.rescoring import order
from refrain.inference.errors import TextTooLongError
from refrain.inference.local import LocalModel
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve

HYPOTHESES = [Hypothesis("dog sat", -1.0), Hypothesis("cat sat", -2.0), Hypothesis("")]


@pytest.mark.parametrize("context", ["", "The old"])
def test_the_order_is_that_of_the_library(checkpoints, context) -> None:
    params = RescoringParams(weight=0.5, eos=True)
    model = LocalModel(checkpoints / "english")
    expected = model.rescore(HYPOTHESES, params, context=context)

    async def body(serving) -> None:
        loaded, found = await order(serving, asked(), context, HYPOTHESES, params)
        assert loaded.name == "english"
        assert found == expected

    serve(checkpoints, body)


def test_what_is_over_the_limits_is_refused(checkpoints) -> None:
    params = RescoringParams()

    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match="at most 2 hypotheses"):
            await order(serving, asked(), "", HYPOTHESES, params)
        with pytest.raises(TextTooLongError, match="context has 4 tokens"):
            await order(serving, asked("english"), "cat cat cat cat", HYPOTHESES[:1], params)
        with pytest.raises(TextTooLongError, match="hypotheses has 4 tokens"):
            await order(serving, asked("english"), "", [Hypothesis("cat cat cat cat")], params)

    serve(checkpoints, body, ("english",), max_texts=2, max_prompt_tokens=3)
