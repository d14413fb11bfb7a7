"""Texts that grow on the server, for keyboards: a keystroke costs a step or two, not a reading of the whole text."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field, replace

from app.engine.sequence import Scored, TextState
from app.services.encoding import encode
from app.services.errors import InvalidParameterError, TooManySessionsError, UnknownSessionError
from app.services.next_token import NextToken, NextTokenOptions, NextTokenService
from app.services.registry import LoadedLanguageModel, asked
from app.services.state_token import StateTokens
from app.settings import Settings
from models.checkpoint import Checkpoint
from models.neural_cache import NeuralCache, NeuralCacheConfig
from models.tokenizer import Tokenizer

REMEMBERED_AT_ONCE = 256
"""Tokens of an adaptive session that are read in one go."""
MAX_WORD = 200
"""Letters after which a word is taken as it is, however it goes on."""
MAX_BLANKS = 200
"""Blanks before a word that may still become part of its token."""


@dataclass
class Session:
    """One text under way.

    Attributes
    ----------
    state
        The memory of the text up to the word under way; None at the beginning of a text.
    tail
        The word under way, with the space before it: what comes may yet change how it is cut to tokens.
    num_tokens
        Tokens that the state stands for.
    cache
        What the text has had, if the session adapts to it.
    """

    id: str
    loaded: LoadedLanguageModel
    caller: str
    state: TextState | None
    last_used: float
    tail: str = ""
    num_tokens: int = 0
    cache: NeuralCache | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SessionService:
    """Keeps sessions, a few kilobytes each; the longest idle ones go first, and all go after some time.

    Parameters
    ----------
    clock
        Gives the time in seconds.
    """

    def __init__(
        self,
        states: StateTokens,
        next_tokens: NextTokenService,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._states = states
        self._next_tokens = next_tokens
        self._settings = settings
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._cache_bytes = 0

    async def open(
        self, *, model: str | None, text: str, state: str | None, adaptive: bool, caller: str
    ) -> Session:
        """Begin a text, or go on from a state; an adaptive one makes words that it has had likelier.

        Raises
        ------
        ServiceError
            For an unknown model, a state that is none of it, too long a text, too many sessions, or a model that
            cannot adapt.
        """
        self._expire()
        if len(self._sessions) >= self._settings.max_sessions:
            raise TooManySessionsError(
                f"{len(self._sessions)} sessions are open; close some, or come back later"
            )
        loaded, start = self._states.resolve(model, text, state)
        session = Session(secrets.token_urlsafe(16), loaded, caller, start, self._clock())
        if adaptive:
            session.cache = self._new_cache(loaded)
        self._cache_bytes += _cache_bytes_of(session)
        self._sessions[session.id] = session
        try:
            await self._append(session, text)
        except BaseException:
            self._forget(session)
            raise
        return session

    def get(self, session_id: str, caller: str) -> Session:
        """Find a session of a caller, and keep it from expiring.

        Raises
        ------
        UnknownSessionError
            If there is none, or it has expired.
        """
        self._expire()
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller:
            raise UnknownSessionError(
                f"no session {session_id[:40]!r}: it was closed, has expired, or never was; open a new one",
                "session",
            )
        asked(session.loaded)
        session.last_used = self._clock()
        self._sessions.move_to_end(session_id)
        return session

    async def append(self, session_id: str, text: str, caller: str) -> Session:
        """Add what was typed."""
        session = self.get(session_id, caller)
        async with session.lock:
            await self._append(session, text)
        return session

    async def next(
        self, session_id: str, options: NextTokenOptions, caller: str
    ) -> tuple[Session, NextToken]:
        """Predict what may come next."""
        session = self.get(session_id, caller)
        async with session.lock:
            view = session.cache.view() if session.cache else None
            asked = replace(options, caller=caller, cache=view)
            found = await self._next_tokens.predict_after(
                session.loaded, session.tail, session.state, asked
            )
        return session, found

    def close(self, session_id: str, caller: str) -> None:
        """Forget a session."""
        self._forget(self.get(session_id, caller))

    async def _append(self, session: Session, text: str) -> None:
        tokenizer = session.loaded.checkpoint.tokenizer
        settled, tail = split_tail(tokenizer, session.tail + text)
        limit = self._settings.max_prompt_tokens
        encoding = await encode(tokenizer, settled, max_tokens=limit, param="text")
        cache, state = session.cache, session.state
        if cache:
            cache, state = await _read_and_remember(session, cache, encoding.ids)
        elif encoding.ids:
            state = await session.loaded.engine.read(
                encoding.ids, start=state, caller=session.caller
            )
        session.cache, session.state, session.tail = cache, state, tail
        session.num_tokens += len(encoding.ids)

    def _new_cache(self, loaded: LoadedLanguageModel) -> NeuralCache:
        size = loaded.engine.hidden_size
        config = cache_config_of(loaded.checkpoint, size, loaded.precision)
        room = self._settings.session_cache_bytes - self._cache_bytes
        if NeuralCache.num_bytes(config, size) > room:
            raise TooManySessionsError(
                "the memory of adaptive sessions is full; close some, or open one that does not adapt"
            )
        return NeuralCache(config, size)

    def _forget(self, session: Session) -> None:
        del self._sessions[session.id]
        self._cache_bytes -= _cache_bytes_of(session)

    def _expire(self) -> None:
        oldest = self._clock() - self._settings.session_idle_seconds
        while self._sessions:
            session = next(iter(self._sessions.values()))
            if session.last_used > oldest:
                return
            self._forget(session)


def _cache_bytes_of(session: Session) -> int:
    cache = session.cache
    return NeuralCache.num_bytes(cache.config, cache.size) if cache else 0


def cache_config_of(checkpoint: Checkpoint, hidden_size: int, precision: str) -> NeuralCacheConfig:
    """Give how a model's cache is heeded: as was fitted, or as is usual.

    Raises
    ------
    InvalidParameterError
        If what runs the model has no hidden states to tell.
    """
    if not hidden_size:
        raise InvalidParameterError(
            f"{checkpoint.name} runs in {precision}: only models in int8 adapt", "adaptive"
        )
    return checkpoint.neural_cache or NeuralCacheConfig()


def remember(cache: NeuralCache, ids: Ids[int], scored: Scored) -> None:
    """Keep tokens that were scored with a view of a cache."""
    assert scored.hidden is not None
    assert scored.cache_probs is not None
    cache.append(scored.hidden, ids, scored.logprobs, scored.cache_probs)


def pieces_of(ids: Ids[int]) -> Iterator[Ids[int]]:
    """Cut tokens to pieces that an adaptive session reads together."""
    for first in range(0, len(ids), REMEMBERED_AT_ONCE):
        yield ids[first : first + REMEMBERED_AT_ONCE]


async def _read_and_remember(
    session: Session, cache: NeuralCache, ids: Ids[int]
) -> tuple[NeuralCache, TextState | None]:
    """Read tokens piece by piece; give the cache and the state after them. The session stays what it is."""
    state = session.state
    if len(ids) > REMEMBERED_AT_ONCE:
        cache = cache.copy()  # a caller who leaves half-way leaves the session as it was
    for some in pieces_of(ids):
        scored = await session.loaded.engine.score(
            some, start=state, caller=session.caller, wants_state=True, cache=cache.view()
        )
        remember(cache, some, scored)
        state = scored.state
    return cache, state


def split_tail(tokenizer: Tokenizer, text: str) -> tuple[str, str]:
    """Split a text to what no letter to come can change any more, and the word under way with the blanks before it.

    A word of more than `MAX_WORD` letters is taken as it is; of more blanks than `MAX_BLANKS` the last few count.
    """
    if tokenizer.kind == "characters":
        return text, ""
    word = len(text)
    while word and not text[word - 1].isspace():
        word -= 1
        if len(text) - word > MAX_WORD:
            return text, ""
    blanks = word
    while blanks and text[blanks - 1].isspace() and word - blanks < MAX_BLANKS:
        blanks -= 1
    return text[:blanks], text[blanks:]
