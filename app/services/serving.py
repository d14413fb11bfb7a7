"""What every service stands on: which model a request asks, from which state on, and within which limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from refrain.app.services.registry import LoadedLanguageModel, Registry
from refrain.app.services.state_token import StateTokens
from refrain.app.settings import Settings
from refrain.inference.drivers.engine_thread import Caller
from refrain.inference.engine.request import TextState
from refrain.models.errors import InvalidParameterError
from refrain.models.text.tokenizer import Tokenizer

P = ParamSpec("P")
R = TypeVar("R")
TextT = TypeVar("TextT", bound=Sized)
LONG_TEXT = 2_000
"""Characters, or tokens, above which a text is tokenized by another thread."""


async def map_texts(
    work: Callable[Concatenate[Tokenizer, TextT, P], R],
    tokenizer: Tokenizer,
    texts: Iterable[TextT],
    *args: P.args,
    **kwargs: P.kwargs,
) -> list[R]:
    """Tokenize each text, in order: a long one on another thread, any other here and at once."""
    found: list[R] = []
    for text in texts:
        if len(text) > LONG_TEXT:
            found.append(await asyncio.to_thread(work, tokenizer, text, *args, **kwargs))
        else:
            found.append(work(tokenizer, text, *args, **kwargs))
    return found


class Asked(NamedTuple):
    """Who asks, of which model, from which state on, as far as the request names them."""

    caller: Caller
    model: str | None = None
    state: str | None = None


@dataclass(frozen=True)
class Serving:
    """What every service over texts stands on: the models, the states, and the limits."""

    registry: Registry
    states: StateTokens
    settings: Settings

    def find(self, asked: Asked, text: str) -> tuple[LoadedLanguageModel, TextState | None]:
        """Find the model that is named, that the state came from, or that suits the text; and open the state.

        Raises
        ------
        InvalidParameterError
            If this service did not sign the state.
        StaleStateError
            If it came from another model, version or precision.
        UnknownModelError, WrongTaskError
            If the model cannot serve this.
        """
        name, signed = asked.model, None
        if asked.state is not None:
            signed = self.states.decode(asked.state)
            name = name or signed.model_name
        loaded = self.registry.find(LoadedLanguageModel, name, text, asked.caller)
        return loaded, signed.open(loaded.model) if signed else None

    def with_state(
        self, values: dict[str, object], loaded: LoadedLanguageModel, state: TextState | None
    ) -> dict[str, object]:
        """Return an answer with its state, signed; unchanged where there is none."""
        if state is None:
            return values
        return {**values, "state": self.states.encode(loaded.model, state)}

    def require_few(self, num_texts: int, what: str, param: str) -> None:
        """Refuse more texts than one request may have.

        Raises
        ------
        InvalidParameterError
            If there are more.
        """
        if num_texts > self.settings.max_texts:
            raise InvalidParameterError(f"at most {self.settings.max_texts} {what}", param)
