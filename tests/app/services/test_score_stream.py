"""Texts that arrive in pieces, scored in constant memory: the numbers of the whole."""

from dataclasses import replace

import pytest

from refrain.app.services import score_stream
from refrain.app.services.score_stream import LineScore, Progress, ScoreStreamParams, open_stream
from refrain.app.services.scoring import score
from refrain.inference.errors import EndedTextError, QueueFullError, TextTooLongError
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import InvalidParameterError
from tests.support.serving import asked, serve

TEXT = "The old cat sat on the mat. The dog didn't sit, and the cat saw it.\n" * 20


async def pieces(text: str, size: int):
    for first in range(0, len(text), size):
        yield text[first : first + size]


async def results(serving, text: str, params: ScoreStreamParams, size: int = 7) -> list:
    stream = await open_stream(serving, asked("english"), pieces(text, size), params)
    return [result async for result in stream.results()]


@pytest.mark.parametrize("count_end", [False, True])
def test_strides_add_up_to_the_score_of_the_whole(checkpoints, count_end) -> None:
    async def body(serving) -> None:
        params = ScoreStreamParams(stride=50, count_end=count_end, wants_state=True)
        found = await results(serving, TEXT, params)
        assert all(isinstance(each, Progress) for each in found)
        assert [each.is_final for each in found] == [False] * (len(found) - 1) + [True]
        wanted = ScoreParams(count_end=count_end, return_state=True)
        _, (whole,) = await score(serving, asked("english"), [TEXT], wanted)
        last = found[-1].score
        assert last.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9)
        assert (last.num_tokens, last.num_unknown) == (whole.num_tokens, whole.num_unknown)
        assert last.bits_per_character == pytest.approx(whole.bits_per_character, rel=1e-9)
        assert last.state == whole.state
        assert [each.score.num_tokens for each in found[:-1]] == [
            50 * n for n in range(1, len(found))
        ]

    serve(checkpoints, body, ("english",))


def test_lines_are_scored_each_for_itself_and_in_order(checkpoints) -> None:
    lines = ["The old cat", "", "A zebra!", "the mat " * 30]

    async def body(serving) -> None:
        found = await results(serving, "\r\n".join(lines), ScoreStreamParams("line"))
        assert all(isinstance(each, LineScore) for each in found)
        assert [each.line for each in found] == [1, 2, 3, 4]
        _, expected = await score(serving, asked("english"), lines[:3])
        assert [each.score for each in found[:3]] == expected
        assert isinstance(found[3].score, TextTooLongError)

    serve(checkpoints, body, ("english",), max_score_tokens=20)


def test_what_is_wrong_with_a_stream_comes_after_the_lines_before_it(checkpoints) -> None:
    async def broken():
        yield "The cat\nA day\n"
        raise InvalidParameterError("the text is not UTF-8", "body")

    async def body(serving) -> None:
        stream = await open_stream(serving, asked("english"), broken(), ScoreStreamParams("line"))
        lines = stream.results()
        found = [await anext(lines), await anext(lines)]
        with pytest.raises(InvalidParameterError, match="not UTF-8"):
            await anext(lines)
        assert [each.line for each in found] == [1, 2]

    serve(checkpoints, body, ("english",))


def test_a_text_that_has_ended_is_refused_before_the_stream_starts(checkpoints) -> None:
    async def body(serving) -> None:
        wanted = ScoreParams(count_end=True, return_state=True)
        loaded, (ended,) = await score(serving, asked("english"), ["The"], wanted)
        # A score's last target is not read: the end is the one token that is left.
        assert ended.state.unread == (loaded.model.tokenizer.eos_id,)
        state = type(ended.state)(ended.state.packed, ended.state.position, ())
        token = serving.states.encode(loaded.model, state)
        with pytest.raises(EndedTextError):
            await open_stream(
                serving, asked(state=token), pieces("The cat", 5), ScoreStreamParams()
            )

    serve(checkpoints, body, ("english",))


class FullFor:
    """A driver that has no room for the first few operations."""

    def __init__(self, driver, num_refused: int) -> None:
        self._driver = driver
        self.num_left = num_refused

    async def run(self, operation, caller):
        if self.num_left:
            self.num_left -= 1
            operation.close()
            raise QueueFullError("come back later")
        return await self._driver.run(operation, caller)


@pytest.mark.parametrize("unit", ["text", "line"])
def test_a_stream_that_has_begun_waits_where_the_queue_is_full_for_a_moment(
    checkpoints, monkeypatch, unit
) -> None:
    monkeypatch.setattr(score_stream, "PAUSE_SECONDS", 0)

    async def body(serving) -> None:
        params = ScoreStreamParams(unit)
        expected = await results(serving, TEXT, params)
        stream = await open_stream(serving, asked("english"), pieces(TEXT, 7), params)
        driver = FullFor(stream.loaded.driver, 3)
        stream.loaded = replace(stream.loaded, driver=driver)
        assert [result async for result in stream.results()] == expected
        assert driver.num_left == 0

    serve(checkpoints, body, ("english",))
