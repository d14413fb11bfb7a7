"""A text that grows, for a keyboard."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from typing import TYPE_CHECKING

from app.engine.sequence import TextState
from app.services.next_token import Prediction
from app.services.sessions import pieces_of, split_tail
from models.neural_cache import NeuralCache

if TYPE_CHECKING:
    from app.local.model import LocalModel


class LocalSession:
    """A text that grows: what was read is not read again.

    Attributes
    ----------
    state
        The memory of the text up to the word under way; it may be kept, sent, and gone on from.
    """

    def __init__(self, model: LocalModel, cache: NeuralCache | None = None) -> None:
        self._model = model
        self._cache = cache
        self.state: TextState | None = None
        self._tail = ""

    def append(self, text: str) -> None:
        """Add what was typed; a word may be cut anywhere."""
        settled, self._tail = split_tail(self._model.tokenizer, self._tail + text)
        ids = self._model.tokenizer.encode(settled).ids
        if self._cache:
            for some in pieces_of(ids):
                self.state = self._model.remember(self._cache, some, self.state)
        elif ids:
            self.state = self._model.read(ids, self.state)

    def next(
        self,
        *,
        top_k: int = 10,
        starts_with: str = "",
        candidates: Ids[str] | None = None,
        among_candidates: bool = False,
    ) -> list[Prediction]:
        """Predict what comes next, as `LocalModel.next` does."""
        return self._model.next(
            self._tail,
            top_k=top_k,
            starts_with=starts_with,
            candidates=candidates,
            among_candidates=among_candidates,
            state=self.state,
            cache=self._cache,
        )

    def fork(self) -> LocalSession:
        """Give a session that goes on from here by itself."""
        other = LocalSession(self._model, self._cache.copy() if self._cache else None)
        other.state, other._tail = self.state, self._tail
        return other
