"""Answers of a running server, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from refrain.cli.answers.protocol import Answer, Answers
from refrain.cli.documents.texts import InputError
from refrain.client import Client, ClientError, ConnectionFailedError
from refrain.inference.operations.embedding import Pooling
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import RefrainError


class RemoteError(RefrainError):
    """A server that does not answer, or refuses."""


class RemoteAnswers(Answers):
    """A server; the model that it chooses for the first texts answers all of them.

    Parameters
    ----------
    url
        Where it listens, such as "http://127.0.0.1:8000".

    Raises
    ------
    InputError
        If the address is not an HTTP one.
    """

    max_texts = 64

    def __init__(self, url: str, model: str | None) -> None:
        self._url = url
        self._model = model
        try:
            self._client = Client(url, timeout=None)
        except ValueError as error:
            raise InputError(f"--url: {error}") from error

    def generate(
        self, prompts: Sequence[str], params: GenerationParams, seed: int | None
    ) -> Iterator[Answer]:
        for prompt in prompts:
            yield self._post("/generate", {"prompt": prompt, **_body(params, seed)})

    def stream(self, prompt: str, params: GenerationParams, seed: int | None) -> Iterator[str]:
        options: dict[str, Any] = {**_body(params, seed), **self._named()}
        with self._reported(), self._client.stream(prompt, **options) as pieces:
            for piece in pieces:
                yield piece.text

    def score(self, texts: Sequence[str], params: ScoreParams) -> Iterator[Answer]:
        return self._results("/score", {"text": [*texts], **params.as_json()})

    def next(self, prefixes: Sequence[str], query: NextQuery) -> Iterator[Answer]:
        return self._results("/next", {"prefix": [*prefixes], **query.as_json()})

    def rescore(
        self, context: str, hypotheses: Sequence[Hypothesis], params: RescoringParams
    ) -> Answer:
        proposed = [each.as_json() for each in hypotheses]
        body = {"context": context, "hypotheses": proposed, **params.as_json()}
        return self._post("/rescore", body)

    def embed(self, texts: Sequence[str], pooling: Pooling) -> Iterator[Answer]:
        return self._results("/embed", {"text": [*texts], "pooling": pooling})

    def sentiment(self, texts: Sequence[str], language: str | None) -> Iterator[Answer]:
        with self._reported():
            body = {"text": [*texts], "language": language, **self._named()}
            answer = self._client.post("/sentiment", body)
        yield from answer["results"]

    def close(self) -> None:
        self._client.close()

    def _results(self, path: str, body: Mapping[str, object]) -> Iterator[Answer]:
        answer = self._post(path, body)
        for result in answer["results"]:
            yield {"model": answer["model"], **result}

    def _post(self, path: str, body: Mapping[str, object]) -> Answer:
        with self._reported():
            answer = self._client.post(path, {**body, **self._named()})
        self._model = answer["model"]
        return answer

    def _named(self) -> dict[str, str]:
        return {"model": self._model} if self._model else {}

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Raise what goes wrong as an error of one line.

        Raises
        ------
        RemoteError
            With the server's own message, if it answered.
        """
        try:
            yield
        except ConnectionFailedError as error:
            if error.was_sent:
                raise RemoteError(f"{self._url}: {error}") from error
            raise RemoteError(
                f"no server answers at {self._url} ({error}); start one with `refrain serve`, or omit --url"
            ) from error
        except ClientError as error:
            source = f"the server answered {error.status}" if error.status else self._url
            raise RemoteError(f"{source}: {error}") from error


def _body(params: GenerationParams, seed: int | None) -> dict[str, object]:
    return params.as_json() | ({} if seed is None else {"seed": seed})
