"""Answers of a running server, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from app.api.schemas.body import Body, as_list
from app.api.schemas.generate import GenerateBody
from app.api.schemas.next_token import NextBody
from app.api.schemas.score import ScoreBody
from app.api.schemas.sentiment import SentimentBody
from cli.answers import Answer, OnText
from models.errors import RefrainError


class RemoteError(RefrainError):
    """A server that does not answer, or refuses."""


class RemoteAnswers:
    """A server; the model that it chooses for the first texts answers all of them.

    Parameters
    ----------
    url
        Where it listens, such as "http://127.0.0.1:8000".
    """

    max_texts = 64

    def __init__(self, url: str, model: str | None) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._client = httpx.Client(timeout=httpx.Timeout(None, connect=10))

    def generate(self, body: GenerateBody, on_text: OnText | None = None) -> Iterator[Answer]:
        """Continue prompts, one request each."""
        for prompt in as_list(body.prompt):
            values = {**self._values(body), "prompt": prompt}
            answer = self._stream(values, on_text) if on_text else self._post("/generate", values)
            for choice in answer["choices"]:
                for name in ("logprobs", "state"):
                    choice.pop(name, None)
            self._model = answer["model"]
            yield answer

    def score(self, body: ScoreBody) -> Iterator[Answer]:
        """Measure texts."""
        return self._results("/score", body)

    def next(self, body: NextBody) -> Iterator[Answer]:
        """Predict what follows prefixes."""
        return self._results("/next", body)

    def sentiment(self, body: SentimentBody) -> Iterator[Answer]:
        """Judge reviews."""
        yield from self._post("/sentiment", self._values(body))["results"]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _results(self, path: str, body: Body) -> Iterator[Answer]:
        answer = self._post(path, self._values(body))
        self._model = answer["model"]
        for result in answer["results"]:
            yield {"model": answer["model"], **result}

    def _values(self, body: Body) -> dict[str, Any]:
        named = {"model": self._model} if self._model else {}
        return {**body.model_dump(mode="json", exclude_unset=True), **named}

    def _post(self, path: str, values: dict[str, Any]) -> Answer:
        try:
            response = self._client.post(self._url + path, json=values)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._no_answer(error) from error
        _require_success(response)
        return dict(response.json())

    def _stream(self, values: dict[str, Any], on_text: OnText) -> Answer:
        """Hear one text as it is written, and put it together."""
        choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": None}
        answer: Answer = {}
        try:
            with self._client.stream(
                "POST", f"{self._url}/generate", json={**values, "stream": True}
            ) as response:
                if response.is_error:
                    response.read()
                _require_success(response)
                for event in _events(response):
                    if "text" in event:
                        on_text(event["text"])
                        choice["text"] += event["text"]
                        choice["finish_reason"] = event["finish_reason"]
                    else:
                        answer = event
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._no_answer(error) from error
        return {**answer, "choices": [choice]}

    def _no_answer(self, error: Exception) -> RemoteError:
        return RemoteError(
            f"no server answers at {self._url} ({error}); start one with `refrain serve`, or leave --url out"
        )


def _require_success(response: httpx.Response) -> None:
    """Refuse what the server refuses.

    Raises
    ------
    RemoteError
        With the server's own words.
    """
    if not response.is_error:
        return
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.reason_phrase
    raise RemoteError(f"the server answers {response.status_code}: {message}")


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Give the events of a stream.

    Raises
    ------
    RemoteError
        For an event that is an error.
    """
    for line in response.iter_lines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            raise RemoteError(f"the server broke off: {event['error']['message']}")
        yield event
