"""Reviews, each by the model of its own language."""

import pytest

from refrain.app.services.sentiment import classify
from refrain.inference.errors import RequestTooLargeError, TextTooLongError
from refrain.inference.local import LocalClassifier
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve


def test_a_mixed_list_is_judged_by_language_in_its_order(checkpoints) -> None:
    texts = ["A lovely day!", "春眠不觉晓", "The old cat", "处处闻啼鸟"]
    models = [LocalClassifier(checkpoints / f"sentiment-{name}") for name in ("en", "zh")]

    async def body(serving) -> None:
        who = asked()
        found = await classify(serving, who, texts, None)
        assert [each.model for each in found] == ["sentiment-en", "sentiment-zh"] * 2
        for text, each, model in zip(texts, found, models * 2, strict=True):
            alone = model.classify(text)
            assert each.label == alone.label
            assert each.stars == pytest.approx(alone.stars, abs=1e-5)
        assert who.caller.stats.num_prompt > 0
        named = await classify(serving, asked("sentiment-zh"), texts, None)
        assert {each.model for each in named} == {"sentiment-zh"}

    serve(checkpoints, body, ("english", "sentiment-en", "sentiment-zh"))


def test_what_is_over_the_limits_is_refused(checkpoints) -> None:
    async def body(serving) -> None:
        with pytest.raises(InvalidParameterError, match="at most 4 texts"):
            await classify(serving, asked(), ["A day"] * 5, None)
        with pytest.raises(TextTooLongError, match="text has 6 tokens"):
            await classify(serving, asked(), ["cat cat cat cat cat cat"], "en")
        with pytest.raises(RequestTooLargeError, match="4 texts at once; there is room for 3"):
            await classify(serving, asked(), ["A day"] * 4, None)

    serve(checkpoints, body, ("sentiment-en",), max_texts=4, max_queue=3, max_classify_tokens=5)
