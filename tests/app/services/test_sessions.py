"""Sessions: a text in pieces is the text, isolated, bounded, and forgotten in time."""

import asyncio

import pytest

from app.engine.config import EngineConfig
from app.services.errors import TooManySessionsError, UnknownSessionError
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
