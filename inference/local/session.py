"""A text that grows, for a keyboard."""

from __future__ import annotations

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.engine.request import TextState
from refrain.inference.operations.next_token import TOP_TEN, NextQuery, NextToken, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.session import GrowingText, append
from refrain.inference.operations.text_model import TextModel
from refrain.models.text.text_borders import split_tail


class LocalSession:
    """A text that grows: what was read is not read again."""

    def __init__(self, model: TextModel, driver: BlockingDriver, text: GrowingText) -> None:
        self._model = model
        self._driver = driver
        self._text = text

    @property
    def state(self) -> TextState | None:
        """The memory of the text up to the word under way; it may be kept, sent, and gone on from."""
        return self._text.state

    def append(self, text: str) -> None:
        """Add what was typed; a word may be cut anywhere."""
        tokenizer = self._model.tokenizer
        settled, tail = split_tail(tokenizer, self._text.tail + text)
        self._text = self._driver.run(append(self._text, tokenizer.encode(settled).ids, tail))

    def next(self, query: NextQuery = TOP_TEN) -> NextToken:
        """Predict what comes next, as `LocalModel.next` does."""
        text = self._text
        tail = read_prompt(self._model.tokenizer, text.tail, text.state, param="text")
        return self._driver.run(predict_next(self._model, tail, query, text.cache_view))

    def fork(self) -> LocalSession:
        """Return a session that goes on from here by itself."""
        return LocalSession(self._model, self._driver, self._text.fork())
