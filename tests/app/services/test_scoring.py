"""Scores within the limits of a request."""

import pytest

from refrain.app.services.scoring import score
from refrain.inference.errors import TextTooLongError
from refrain.inference.local import LocalModel
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve


def test_scores_are_those_of_the_library_in_the_order_of_the_texts(checkpoints) -> None:
    texts = ["The old cat sat.", "", "A lovely day!"]
    params = ScoreParams(per_token=True, count_end=True)
    expected = list(LocalModel(checkpoints / "english").score_all(texts, params))

    async def body(serving) -> None:
        loaded, found = await score(serving, asked(), texts, params)
        assert loaded.name == "english"
        assert found == expected

    serve(checkpoints, body)


def test_texts_over_the_limits_are_refused(checkpoints) -> None:
    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match="at most 2 texts"):
            await score(serving, asked(), ["The"] * 3)
        with pytest.raises(TextTooLongError, match="text has 6 tokens; the limit is 5"):
            await score(serving, asked("english"), ["cat cat cat cat cat cat"])

    serve(checkpoints, body, ("english",), max_texts=2, max_score_tokens=5)
