"""Answers of a running server, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from app.api.schemas.body import Body, as_list
from app.api.schemas.generate import GenerateBody
from app.api.schemas.next_token import NextBody
from app.api.schemas.score import ScoreBody
from app.api.schemas.sentiment import SentimentBody
from cli.answers import Answer, OnText
from cli.texts import InputError
from models.errors import RefrainError
from refrain_client import Client, ConnectionFailedError, Predictions, Scores
from refrain_client import RefrainError as ClientError


class RemoteError(RefrainError):
    """A server that does not answer, or refuses."""


class RemoteAnswers:
    """A server; the model that it chooses for the first texts answers all of them.

    Parameters
    ----------
    url
        Where it listens, such as "http://127.0.0.1:8000".

    Raises
    ------
    InputError
        If the address is none of HTTP.
    """

    max_texts = 64

    def __init__(self, url: str, model: str | None) -> None:
        self._url = url
        self._model = model
        try:
            self._client = Client(url, timeout=None)
        except ValueError as error:
            raise InputError(f"--url: {error}") from error

    def generate(self, body: GenerateBody, on_text: OnText | None = None) -> Iterator[Answer]:
        """Continue prompts, one request each."""
        for prompt in as_list(body.prompt):
            options = self._options(body, "prompt")
            with self._told():
                if on_text:
                    answer = self._stream(prompt, options, on_text)
                else:
                    answer = _values(self._client.generate(prompt, **options))
            self._model = answer["model"]
            yield answer

    def score(self, body: ScoreBody) -> Iterator[Answer]:
        """Measure texts."""
        with self._told():
            scores = self._client.score(as_list(body.text), **self._options(body, "text"))
        return self._results(scores)

    def next(self, body: NextBody) -> Iterator[Answer]:
        """Predict what follows prefixes."""
        with self._told():
            found = self._client.next(as_list(body.prefix), **self._options(body, "prefix"))
        return self._results(found)

    def sentiment(self, body: SentimentBody) -> Iterator[Answer]:
        """Judge reviews."""
        with self._told():
            found = self._client.sentiment(as_list(body.text), **self._options(body, "text"))
        yield from map(_values, found.results)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _results(self, answer: Scores | Predictions) -> Iterator[Answer]:
        self._model = answer.model
        for result in answer.results:
            yield {"model": answer.model, **_values(result)}

    def _options(self, body: Body, texts: str) -> dict[str, Any]:
        named = {"model": self._model} if self._model else {}
        return {**body.model_dump(mode="json", exclude_unset=True, exclude={texts}), **named}

    def _stream(self, prompt: str, options: dict[str, Any], on_text: OnText) -> Answer:
        """Hear one text as it is written, and put it together."""
        text, reason = "", None
        with self._client.stream(prompt, **options) as pieces:
            for piece in pieces:
                on_text(piece.text)
                text += piece.text
                reason = piece.finish_reason
            end = _values(pieces.end)
        return {**end, "choices": [{"index": 0, "text": text, "finish_reason": reason}]}

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a line what went wrong.

        Raises
        ------
        RemoteError
            With the server's own words, if it spoke.
        """
        try:
            yield
        except ConnectionFailedError as error:
            if error.was_sent:
                raise RemoteError(f"{self._url}: {error}") from error
            raise RemoteError(
                f"no server answers at {self._url} ({error}); start one with `refrain serve`, or leave --url out"
            ) from error
        except ClientError as error:
            said = f"the server answers {error.status}" if error.status else self._url
            raise RemoteError(f"{said}: {error}") from error


def _values(answer: Any) -> Any:
    """Make JSON of an answer again, without what it may leave out and has left out."""
    if is_dataclass(answer):
        given = [(each, getattr(answer, each.name)) for each in fields(answer)]
        return {
            each.name: _values(value)
            for each, value in given
            if each.default is not None or value is not None
        }
    if isinstance(answer, Mapping):
        return {name: _values(value) for name, value in answer.items()}
    return [_values(each) for each in answer] if isinstance(answer, tuple) else answer
