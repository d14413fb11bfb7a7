"""Sessions: a text in pieces is the text, isolated, bounded, and forgotten in time."""

import asyncio

import pytest

from app.engine.config import EngineConfig
from app.local import LocalModel
from app.services.errors import InvalidParameterError, TooManySessionsError, UnknownSessionError
from app.services.next_token import NextTokenOptions, NextTokenService
from app.services.registry import Registry, load
from app.services.sessions import SessionService, split_tail
from app.services.state_token import StateTokens
from app.settings import Settings
from models.checkpoint import load_checkpoint

TEXT = "The old cat sat on the mat. The dog didn't sit"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def serve(checkpoints, body, **settings) -> None:
    """Run a coroutine with the session service over the tiny models."""

    async def main() -> None:
        loaded = [
            load(load_checkpoint(checkpoints / name), EngineConfig())
            for name in ("english", "bytes", "tang", "counts")
        ]
        registry = Registry(loaded, ["english"])
        limits = Settings(**settings)
        states = StateTokens(registry, b"secret")
        next_tokens, clock = NextTokenService(states, limits), Clock()
        registry.start()
        try:
            sessions = SessionService(states, next_tokens, limits, clock)
            await asyncio.wait_for(body(sessions, next_tokens, clock), 30)
        finally:
            await registry.stop()

    asyncio.run(main())


def begin(sessions, **options):
    return sessions.open(
        **{"model": None, "text": "", "state": None, "adaptive": False, "caller": "me", **options}
    )


@pytest.mark.parametrize("model", ["english", "bytes", "tang", "counts"])
@pytest.mark.parametrize("length", [1, 3, 7, 100])
def test_a_text_typed_in_pieces_predicts_what_the_whole_text_does(
    checkpoints, model, length
) -> None:
    text = TEXT if model != "tang" else "春眠不觉晓，处处闻啼鸟。"
    options = NextTokenOptions(model=model, top_k=100, candidates=["cat", "mat sat"])

    async def body(sessions, next_tokens, _) -> None:
        session = await begin(sessions, model=model)
        for start in range(0, len(text), length):
            await sessions.append(session.id, text[start : start + length], "me")
            _, found = await sessions.next(session.id, options, "me")
            _, (expected,) = await next_tokens.predict([text[: start + length]], options)
            assert found.predictions == expected.predictions
            assert [c.logprob for c in found.candidates] == pytest.approx(
                [c.logprob for c in expected.candidates], abs=1e-5
            )

    serve(checkpoints, body)


def test_a_session_is_its_callers_alone_and_gone_once_closed(checkpoints) -> None:
    async def body(sessions, *_) -> None:
        session = await begin(sessions, text="The")
        with pytest.raises(UnknownSessionError):
            sessions.get(session.id, "you")
        sessions.close(session.id, "me")
        with pytest.raises(UnknownSessionError, match="open a new one"):
            sessions.get(session.id, "me")

    serve(checkpoints, body)


def test_idle_sessions_expire_and_used_ones_stay(checkpoints) -> None:
    async def body(sessions, _, clock) -> None:
        idle, used = await begin(sessions), await begin(sessions)
        clock.now = 60
        await sessions.append(used.id, "The", "me")
        clock.now = 110
        assert sessions.get(used.id, "me")
        with pytest.raises(UnknownSessionError):
            sessions.get(idle.id, "me")

    serve(checkpoints, body, session_idle_seconds=100)


def test_no_more_sessions_than_allowed(checkpoints) -> None:
    async def body(sessions, *_) -> None:
        first = await begin(sessions)
        await begin(sessions)
        with pytest.raises(TooManySessionsError):
            await begin(sessions)
        sessions.close(first.id, "me")
        await begin(sessions)

    serve(checkpoints, body, max_sessions=2)


def test_a_word_without_end_is_taken_as_it_is(checkpoints) -> None:
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    assert split_tail(tokenizer, "The ca") == ("The", " ca")
    assert split_tail(tokenizer, "The  ") == ("The", "  ")
    assert split_tail(tokenizer, "x" * 300) == ("x" * 300, "")


def test_an_adaptive_session_finds_words_that_it_has_had_likelier_and_is_alone_with_them(
    checkpoints,
) -> None:
    async def body(sessions, _, __) -> None:
        plain = await begin(sessions, text=TEXT * 3 + " ")
        adaptive = await begin(sessions, text=TEXT * 3 + " ", adaptive=True)
        other = await begin(sessions, text=" ", adaptive=True)
        options = NextTokenOptions(top_k=0, candidates=["cat", "lovely"])
        found = [(await sessions.next(s.id, options, "me"))[1] for s in (plain, adaptive)]
        before, after = ({c.token: c.probability for c in f.candidates} for f in found)
        assert after["cat"] > before["cat"]
        assert after["lovely"] < before["lovely"]
        assert other.cache.view().num_entries == 0

    serve(checkpoints, body)


def test_the_memory_of_adaptive_sessions_is_bounded_and_comes_back(checkpoints) -> None:
    async def body(sessions, _, clock) -> None:
        first = await begin(sessions, adaptive=True)
        with pytest.raises(TooManySessionsError, match="adaptive"):
            await begin(sessions, adaptive=True)
        sessions.close(first.id, "me")
        await begin(sessions, adaptive=True)
        clock.now = 10_000
        await begin(sessions, adaptive=True)
        clock.now = 20_000
        with pytest.raises(InvalidParameterError):
            await begin(sessions, adaptive=True, text="a " * 200, model="english")
        await begin(sessions, adaptive=True)

    serve(checkpoints, body, session_cache_bytes=50_000, max_prompt_tokens=100)


def test_a_model_that_cannot_adapt_says_so(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        with pytest.raises(InvalidParameterError, match="only models in int8"):
            await begin(sessions, model="counts", adaptive=True)

    serve(checkpoints, body)


def test_a_session_in_ones_own_process_adapts_too(checkpoints) -> None:
    model = LocalModel(checkpoints / "english")
    plain, adaptive = model.session(TEXT * 3), model.session(TEXT * 3, adaptive=True)
    (before,), (after,) = (s.next(candidates=["cat"]) for s in (plain, adaptive))
    fork = adaptive.fork()
    fork.append(" mat" * 40)
    assert after.probability > before.probability
    assert adaptive.next(candidates=["cat"]) == [after]


def test_pieces_typed_at_the_same_time_are_read_one_after_the_other(checkpoints) -> None:
    words = [f" {word}" for word in (TEXT * 4).split()]

    async def body(sessions, _, __) -> None:
        for adaptive in (False, True):
            session = await begin(sessions, adaptive=adaptive)
            await asyncio.gather(*(sessions.append(session.id, word, "me") for word in words))
            expected = await begin(sessions, text="".join(words), adaptive=adaptive)
            assert session.num_tokens == expected.num_tokens
            assert session.state == expected.state

    serve(checkpoints, body)


def test_who_leaves_while_a_long_text_is_read_leaves_the_session_as_it_was(checkpoints) -> None:
    async def body(sessions, _, __) -> None:
        session = await begin(sessions, text=TEXT + " ", adaptive=True)
        before = (session.state, session.num_tokens, session.tail, session.cache.view().num_entries)
        appending = asyncio.create_task(sessions.append(session.id, TEXT * 2_000, "me"))
        while not session.loaded.engine.num_running:
            assert not appending.done()
            await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        after = (session.state, session.num_tokens, session.tail, session.cache.view().num_entries)
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
        assert session.cache.trust > 0.9

    serve(checkpoints, body)


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("The cat", " cat"),
        ("The cat ", " "),
        ("The\t\u00a0cat", "\t\u00a0cat"),
        ("", ""),
        ("a" * 500, ""),
        ("The " + "\n" * 1_000, "\n" * 200),
    ],
)
def test_the_tail_is_the_word_under_way_with_the_blanks_before_it(checkpoints, text, tail) -> None:
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    settled, found = split_tail(tokenizer, text)
    assert (settled + found, found) == (text, tail)


def test_a_very_long_text_is_split_at_once(checkpoints) -> None:
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    for text in ("a" * 10**6 + " b", " " * 10**6 + "b", "a b" * 10**6):
        settled, tail = split_tail(tokenizer, text)
        assert settled + tail == text
        assert len(tail) <= 401
