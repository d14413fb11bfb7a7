"""Sessions: a text in pieces is the text, isolated, bounded, and forgotten in time."""

import asyncio

import pytest

from refrain.app.services import next_token
from refrain.app.services.errors import StaleStateError, TooManySessionsError, UnknownSessionError
from refrain.app.services.sessions import SessionService
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.errors import TextTooLongError
from refrain.inference.operations.next_token import NextQuery
from refrain.models.errors import InvalidParameterError
from tests.support import serving as support
from tests.support.states import stale_states

TEXT = "The old cat sat on the mat. The dog didn't sit"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ME = Caller("me")


def serve(checkpoints, body, **settings) -> None:
    """Run a coroutine with the session service over the tiny models."""
    clock = Clock()

    async def run(serving) -> None:
        await body(SessionService(serving, clock), serving, clock)

    support.serve(checkpoints, run, ("english", "bytes", "tang", "counts"), **settings)


def begin(sessions, *, model=None, text="", adaptive=False):
    return sessions.open(support.asked(model), text, adaptive=adaptive)


@pytest.mark.parametrize("model", ["english", "bytes", "tang", "counts"])
@pytest.mark.parametrize("length", [1, 3, 7, 100])
def test_a_text_typed_in_pieces_predicts_what_the_whole_text_does(
    checkpoints, model, length
) -> None:
    text = TEXT if model != "tang" else "春眠不觉晓，处处闻啼鸟。"
    query = NextQuery(100, candidates=["cat", "mat sat"])

    async def body(sessions, serving, _) -> None:
        session = await begin(sessions, model=model)
        for start in range(0, len(text), length):
            await sessions.append(session.id, text[start : start + length], ME)
            _, found = await sessions.next(session.id, query, ME)
            prefixes = [text[: start + length]]
            _, (expected,) = await next_token.predict(
                serving, support.asked(model), prefixes, query
            )
            assert found.predictions == expected.predictions
            assert [c.logprob for c in found.candidates] == pytest.approx(
                [c.logprob for c in expected.candidates], abs=1e-5
            )

    serve(checkpoints, body)


def test_a_session_is_its_callers_alone_and_gone_once_closed(checkpoints) -> None:
    async def body(sessions, *_) -> None:
        session = await begin(sessions, text="The")
        with pytest.raises(UnknownSessionError):
            sessions.get(session.id, Caller("you"))
        sessions.close(session.id, ME)
        with pytest.raises(UnknownSessionError, match="open a new one"):
            sessions.get(session.id, ME)

    serve(checkpoints, body)


def test_idle_sessions_expire_and_used_ones_stay(checkpoints) -> None:
    async def body(sessions, _, clock) -> None:
        idle, used = await begin(sessions), await begin(sessions)
        clock.now = 60
        await sessions.append(used.id, "The", ME)
        clock.now = 110
        assert sessions.get(used.id, ME)
        with pytest.raises(UnknownSessionError):
            sessions.get(idle.id, ME)

    serve(checkpoints, body, session_idle_seconds=100)


def test_no_more_sessions_than_allowed(checkpoints) -> None:
    async def body(sessions, *_) -> None:
        first = await begin(sessions)
        await begin(sessions)
        with pytest.raises(TooManySessionsError):
            await begin(sessions)
        sessions.close(first.id, ME)
        await begin(sessions)

    serve(checkpoints, body, max_sessions=2)


def test_an_adaptive_session_finds_words_that_it_has_had_likelier_and_is_alone_with_them(
    checkpoints,
) -> None:
    async def body(sessions, _, __) -> None:
        plain = await begin(sessions, text=TEXT * 3 + " ")
        adaptive = await begin(sessions, text=TEXT * 3 + " ", adaptive=True)
        other = await begin(sessions, text=" ", adaptive=True)
        query = NextQuery(0, candidates=["cat", "lovely"])
        found = [(await sessions.next(s.id, query, ME))[1] for s in (plain, adaptive)]
        before, after = ({c.token: c.probability for c in f.candidates} for f in found)
        assert after["cat"] > before["cat"]
        assert after["lovely"] < before["lovely"]
        assert other.text.cache.view().num_entries == 0

    serve(checkpoints, body)


def test_the_memory_of_adaptive_sessions_is_bounded_and_comes_back(checkpoints) -> None:
    async def body(sessions, _, clock) -> None:
        first = await begin(sessions, adaptive=True)
        with pytest.raises(TooManySessionsError, match="adaptive"):
            await begin(sessions, adaptive=True)
        sessions.close(first.id, ME)
        await begin(sessions, adaptive=True)
        clock.now = 10_000
        await begin(sessions, adaptive=True)
        clock.now = 20_000
        with pytest.raises(InvalidParameterError):
            await begin(sessions, adaptive=True, text="a " * 200, model="english")
        await begin(sessions, adaptive=True)

    serve(checkpoints, body, session_cache_bytes=50_000, max_prompt_tokens=100)


def test_a_model_that_cannot_adapt_reports_so(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        with pytest.raises(InvalidParameterError, match="only models in int8"):
            await begin(sessions, model="counts", adaptive=True)

    serve(checkpoints, body)


def test_pieces_typed_at_the_same_time_are_read_one_after_the_other(checkpoints) -> None:
    words = [f" {word}" for word in (TEXT * 4).split()]

    async def body(sessions, _, __) -> None:
        for adaptive in (False, True):
            session = await begin(sessions, adaptive=adaptive)
            await asyncio.gather(*(sessions.append(session.id, word, ME) for word in words))
            expected = await begin(sessions, text="".join(words), adaptive=adaptive)
            assert session.text.num_tokens == expected.text.num_tokens
            assert session.text.state == expected.text.state

    serve(checkpoints, body)


def test_who_leaves_while_a_long_text_is_read_leaves_the_session_as_it_was(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        session = await begin(sessions, text=TEXT + " ", adaptive=True)
        before = (session.text, session.text.cache.view().num_entries)
        appending = asyncio.create_task(sessions.append(session.id, TEXT * 2_000, ME))
        while not session.loaded.driver.load.num_running:
            assert not appending.done()
            await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        after = (session.text, session.text.cache.view().num_entries)
        assert after == before

    serve(checkpoints, body, max_prompt_tokens=10**6)


def test_no_more_sessions_are_opened_at_once_than_may_be_open(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        opened = await asyncio.gather(
            *(begin(sessions, text=TEXT * 20) for _ in range(5)), return_exceptions=True
        )
        refused = [each for each in opened if isinstance(each, TooManySessionsError)]
        assert len(refused) == 3

    serve(checkpoints, body, max_sessions=2)


def test_a_session_that_adapts_learns_how_far_to_trust_its_cache(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        session = await begin(sessions, text="the mat " * 60, adaptive=True)
        assert session.text.cache.trust > 0.9

    serve(checkpoints, body)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_session_goes_on_from_a_state_as_from_its_text(checkpoints, adaptive) -> None:
    async def body(sessions, serving, _) -> None:
        wanted = NextQuery(return_state=True)
        loaded, (found,) = await next_token.predict(
            serving, support.asked("english"), ["The old"], wanted
        )
        token = serving.states.encode(loaded.model, found.state)
        session = await sessions.open(support.asked(state=token), " cat s", adaptive=adaptive)
        assert session.loaded is loaded
        await sessions.append(session.id, "at", ME)
        _, after = await sessions.next(session.id, NextQuery(100), ME)
        _, (expected,) = await next_token.predict(
            serving, support.asked("english"), ["The old cat sat"], NextQuery(100)
        )
        if not adaptive:
            assert after.predictions == expected.predictions
        assert session.text.num_tokens == 1  # "sat" may yet go on

    serve(checkpoints, body)


def test_a_session_that_cannot_begin_is_not_open(checkpoints) -> None:
    async def body(sessions, serving, _) -> None:
        loaded, (found,) = await next_token.predict(
            serving, support.asked("english"), ["The"], NextQuery(return_state=True)
        )
        token = serving.states.encode(loaded.model, found.state)
        for stale in stale_states(token).values():
            with pytest.raises(StaleStateError):
                await sessions.open(support.asked(state=stale), "a", adaptive=True)
        with pytest.raises(TextTooLongError):
            await begin(sessions, model="english", text="a " * 200, adaptive=True)
        await begin(sessions, adaptive=True)  # there is room for one

    serve(checkpoints, body, max_sessions=1, max_prompt_tokens=100, session_cache_bytes=50_000)


def test_a_piece_that_is_refused_leaves_the_session_as_it_was(checkpoints) -> None:
    async def body(sessions, *_) -> None:
        session = await begin(sessions, model="english", text="The old cat ")
        before = session.text
        with pytest.raises(TextTooLongError):
            await sessions.append(session.id, "a " * 200, ME)
        assert session.text is before
        await sessions.append(session.id, "sat ", ME)
        assert session.text.num_tokens == before.num_tokens + 1

    serve(checkpoints, body, max_prompt_tokens=100)
