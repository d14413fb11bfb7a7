"""The client for an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack

import httpx

from refrain.client.async_channel import AsyncChannel
from refrain.client.chunks import AsyncChunks
from refrain.client.contract import parameters, routes
from refrain.client.contract.answers.classification import Sentiments
from refrain.client.contract.answers.embedding import Embeddings
from refrain.client.contract.answers.generation import Generation
from refrain.client.contract.answers.loaded_models import LearningCurve, Model, Models
from refrain.client.contract.answers.prediction import Predictions
from refrain.client.contract.answers.scoring import Block, LineScore, Rescoring, Scores
from refrain.client.contract.answers.service import Health, Load, Version
from refrain.client.contract.parameters import Hypothesis, Texts, hypothesis_values
from refrain.client.lines import BlockReader, LineScoreReader, PieceReader
from refrain.client.retries import USUAL, Retries
from refrain.client.server import Server
from refrain.client.session import AsyncSession
from refrain.client.streams import AsyncStream, AsyncTextStream


class AsyncClient:
    """What `Client` is, on an event loop: the same methods with the same parameters, to be awaited or iterated over.

    `score_stream` and `score_lines` take asynchronous iterables too.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = 60.0,
        retries: Retries = USUAL,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http_client or httpx.AsyncClient(transport=transport)
        self._is_http_ours = http_client is None
        self._channel = AsyncChannel(
            server=Server.at(base_url, api_key, timeout),
            http=self._http,
            is_direct=http_client is None and transport is None,
            retries=retries,
            sleep=sleep,
            clock=clock,
        )

    async def generate(
        self, prompt: Texts = "", **options: Unpack[parameters.GenerateOptions]
    ) -> Generation:
        """Continue one prompt or several."""
        return await self._channel.ask(routes.GENERATE.call({"prompt": prompt, **options}))

    def stream(
        self, prompt: Texts = "", **options: Unpack[parameters.GenerateOptions]
    ) -> AsyncTextStream:
        """Continue one prompt or several, as a stream of the pieces while they are written."""
        call = routes.STREAM.call({"prompt": prompt, **options})
        return AsyncTextStream(self._channel.lines(call), PieceReader())

    async def score(self, text: Texts, **options: Unpack[parameters.ScoreOptions]) -> Scores:
        """Measure how likely texts are."""
        return await self._channel.ask(routes.SCORE.call({"text": text, **options}))

    def score_strides(
        self, text: str, stride: int = 4_096, **options: Unpack[parameters.ScoreStridesOptions]
    ) -> AsyncStream[Block]:
        """Measure one text, as a stream of the score so far after every `stride` tokens."""
        call = routes.SCORE_STRIDES.call({"text": text, "stride": stride, **options})
        return AsyncStream(self._channel.lines(call), BlockReader())

    def score_stream(
        self, text: AsyncChunks, **options: Unpack[parameters.ScoreStreamOptions]
    ) -> AsyncStream[Block]:
        """Measure a text of any length: a string, a file, or pieces that are sent as they come.

        The score so far comes after every `stride` tokens, even while the text is still being sent.
        """
        return AsyncStream(
            self._channel.talk(routes.SCORE_STREAM.call({**options}), text), BlockReader()
        )

    def score_lines(
        self, text: AsyncChunks, **options: Unpack[parameters.ScoreLinesOptions]
    ) -> AsyncStream[LineScore]:
        """Measure each line of a text of any length, in order."""
        return AsyncStream(
            self._channel.talk(routes.SCORE_LINES.call({**options}), text), LineScoreReader()
        )

    async def next(
        self, prefix: Texts = "", **options: Unpack[parameters.NextOptions]
    ) -> Predictions:
        """Predict the next token of one prefix or several."""
        return await self._channel.ask(routes.NEXT.call({"prefix": prefix, **options}))

    async def rescore(
        self,
        hypotheses: Sequence[Hypothesis | str],
        **options: Unpack[parameters.RescoreOptions],
    ) -> Rescoring:
        """Order what a recogniser proposes by its own score and by how it reads."""
        values = [hypothesis_values(each) for each in hypotheses]
        return await self._channel.ask(routes.RESCORE.call({"hypotheses": values, **options}))

    async def sentiment(
        self, text: Texts, **options: Unpack[parameters.SentimentOptions]
    ) -> Sentiments:
        """Classify the sentiment of reviews, in English or Chinese."""
        return await self._channel.ask(routes.SENTIMENT.call({"text": text, **options}))

    async def embed(self, text: Texts, **options: Unpack[parameters.EmbedOptions]) -> Embeddings:
        """Return a vector of unit length for each text."""
        return await self._channel.ask(routes.EMBED.call({"text": text, **options}))

    def session(self, text: str = "", **options: Unpack[parameters.SessionOptions]) -> AsyncSession:
        """Return a session, not yet opened: an `async with` block or `await open()` does that."""
        return AsyncSession(self._channel, routes.SESSION.call({"text": text, **options}))

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Post a JSON body to a route, and return the JSON object that it answers, as the server sent it.

        Raises
        ------
        ValueError
            If the path does not begin with a slash.
        UnexpectedAnswerError
            If the answer is not a JSON object, as of a stream.
        """
        return await self._channel.ask(routes.posted(path, body))

    async def models(self) -> Models:
        """List what is loaded."""
        return await self._channel.ask(routes.MODELS.call())

    async def model(self, name: str) -> Model:
        """Show one model."""
        return await self._channel.ask(routes.MODEL.call(name=name))

    async def learning_curve(self, name: str) -> LearningCurve:
        """Show how a model learned: loss and validation by step."""
        return await self._channel.ask(routes.LEARNING_CURVE.call(name=name))

    async def load(self) -> Load:
        """Return how busy the server's models are just now."""
        return await self._channel.ask(routes.LOAD.call())

    async def health(self, check: Literal["ready", "live"] = "ready") -> Health:
        """Return the status of a server that can work, or only answers; else raise an `OverloadedError`."""
        return await self._channel.ask((routes.READY if check == "ready" else routes.LIVE).call())

    async def version(self) -> Version:
        """Return the versions of the server's parts."""
        return await self._channel.ask(routes.VERSION.call())

    async def close(self) -> None:
        """Close the connections."""
        if self._is_http_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
