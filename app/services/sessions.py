"""Texts that grow on the server, for keyboards: a keystroke costs a step or two, not a reading of the whole text."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from refrain.app.services.errors import TooManySessionsError, UnknownSessionError
from refrain.app.services.registry import LoadedLanguageModel
from refrain.app.services.serving import Asked, Serving, map_texts
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.operations.encoding import encode
from refrain.inference.operations.next_token import NextQuery, NextToken, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.session import GrowingText, append
from refrain.models.neural_cache import NeuralCache
from refrain.models.text.text_borders import split_tail


@dataclass
class Session:
    """One text under way, of one caller."""

    id: str
    loaded: LoadedLanguageModel
    owner: str
    last_used: float
    text: GrowingText
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SessionService:
    """Keeps sessions, a few kilobytes each; the longest idle ones go first, and all go after some time.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, serving: Serving, clock: Callable[[], float] = time.monotonic) -> None:
        self._serving = serving
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    async def open(self, asked: Asked, text: str, *, adaptive: bool) -> Session:
        """Begin a text, or go on from a state; an adaptive one makes words that it has seen likelier.

        Raises
        ------
        RefrainError
            For an unknown model, a state of another one, too long a text, too many sessions, or a model that
            cannot adapt.
        """
        self._expire()
        num_open = len(self._sessions)
        if num_open >= self._serving.settings.max_sessions:
            raise TooManySessionsError(f"{num_open} sessions are open; close one, or retry later")
        loaded, start = self._serving.find(asked, text)
        cache = self._new_cache(loaded) if adaptive else None
        growing, owner = GrowingText(start, cache=cache), asked.caller.name
        session = Session(secrets.token_urlsafe(16), loaded, owner, self._clock(), growing)
        self._sessions[session.id] = session
        try:
            await self._append(session, text, asked.caller)
        except BaseException:
            self._sessions.pop(session.id, None)
            raise
        return session

    def get(self, session_id: str, caller: Caller) -> Session:
        """Find a session of a caller, and keep it from expiring.

        Raises
        ------
        UnknownSessionError
            If there is none, or it has expired.
        """
        self._expire()
        session = self._sessions.get(session_id)
        if session is None or session.owner != caller.name:
            raise UnknownSessionError(
                f"no session {session_id[:40]!r}: it was closed, has expired, or never existed; open a new one",
                "session",
            )
        caller.stats.note_model(session.loaded.name)
        session.last_used = self._clock()
        self._sessions.move_to_end(session_id)
        return session

    async def append(self, session_id: str, text: str, caller: Caller) -> Session:
        """Add what was typed."""
        session = self.get(session_id, caller)
        async with session.lock:
            await self._append(session, text, caller)
        return session

    async def next(
        self, session_id: str, query: NextQuery, caller: Caller
    ) -> tuple[Session, NextToken]:
        """Predict what may come next."""
        session = self.get(session_id, caller)
        async with session.lock:
            model, text = session.loaded.model, session.text
            tokenizer, limit = model.tokenizer, self._serving.settings.max_prompt_tokens
            tail = read_prompt(tokenizer, text.tail, text.state, max_tokens=limit, param="prefix")
            operation = predict_next(model, tail, query, text.cache_view)
            found = await session.loaded.driver.run(operation, caller)
        return session, found

    def close(self, session_id: str, caller: Caller) -> None:
        """Forget a session."""
        self._sessions.pop(self.get(session_id, caller).id)

    async def _append(self, session: Session, text: str, caller: Caller) -> None:
        """Read what is settled; a caller who leaves half-way leaves the session as it was."""
        tokenizer = session.loaded.model.tokenizer
        settled, tail = split_tail(tokenizer, session.text.tail + text)
        limit = self._serving.settings.max_prompt_tokens
        [encoding] = await map_texts(encode, tokenizer, [settled], max_tokens=limit)
        operation = append(session.text, encoding.ids, tail)
        session.text = await session.loaded.driver.run(operation, caller)

    def _new_cache(self, loaded: LoadedLanguageModel) -> NeuralCache:
        cache = loaded.model.new_cache()
        caches = [cache, *(session.text.cache for session in self._sessions.values())]
        num_bytes = sum(NeuralCache.num_bytes(each.config, each.size) for each in caches if each)
        if num_bytes > self._serving.settings.session_cache_bytes:
            raise TooManySessionsError(
                "adaptive sessions have no memory left; close one, or open one that is not adaptive"
            )
        return cache

    def _expire(self) -> None:
        oldest = self._clock() - self._serving.settings.session_idle_seconds
        while self._sessions and next(iter(self._sessions.values())).last_used <= oldest:
            self._sessions.popitem(last=False)
