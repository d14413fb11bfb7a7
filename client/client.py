"""The client for code that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, Unpack

import httpx

from refrain.client.channel import Channel
from refrain.client.chunks import Chunks
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
from refrain.client.session import Session
from refrain.client.streams import Stream, TextStream


class Client:
    """A Refrain server, as methods: one a route, with the parameters of the HTTP contract.

    It may be shared by threads. Close it at the end, or use it in a `with` block.

    Parameters
    ----------
    base_url
        Where the server listens; without one the variable `REFRAIN_URL`, else http://127.0.0.1:8000.
    api_key
        Sent as a bearer token, if the server wants one.
    timeout
        Seconds to wait for a connection, or for more of an answer; None waits for ever.
    retries
        What is tried again, and when.
    transport, http_client
        How httpx reaches the server, for proxies, certificates or tests. A given `http_client` is not closed here. With
        either, `score_stream` and `score_lines` send the whole text before the first answer, so keep it short.
    sleep, clock
        How to wait, and what time it is, in seconds.

    Raises
    ------
    ValueError
        If the address is not an HTTP one.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = 60.0,
        retries: Retries = USUAL,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http_client or httpx.Client(transport=transport)
        self._is_http_ours = http_client is None
        self._channel = Channel(
            server=Server.at(base_url, api_key, timeout),
            http=self._http,
            is_direct=http_client is None and transport is None,
            retries=retries,
            sleep=sleep,
            clock=clock,
        )

    def generate(
        self, prompt: Texts = "", **options: Unpack[parameters.GenerateOptions]
    ) -> Generation:
        """Continue one prompt or several."""
        return self._channel.ask(routes.GENERATE.call({"prompt": prompt, **options}))

    def stream(
        self, prompt: Texts = "", **options: Unpack[parameters.GenerateOptions]
    ) -> TextStream:
        """Continue one prompt or several, as a stream of the pieces while they are written."""
        call = routes.STREAM.call({"prompt": prompt, **options})
        return TextStream(self._channel.lines(call), PieceReader())

    def score(self, text: Texts, **options: Unpack[parameters.ScoreOptions]) -> Scores:
        """Measure how likely texts are."""
        return self._channel.ask(routes.SCORE.call({"text": text, **options}))

    def score_strides(
        self, text: str, stride: int = 4_096, **options: Unpack[parameters.ScoreStridesOptions]
    ) -> Stream[Block]:
        """Measure one text, as a stream of the score so far after every `stride` tokens."""
        call = routes.SCORE_STRIDES.call({"text": text, "stride": stride, **options})
        return Stream(self._channel.lines(call), BlockReader())

    def score_stream(
        self, text: Chunks, **options: Unpack[parameters.ScoreStreamOptions]
    ) -> Stream[Block]:
        """Measure a text of any length: a string, a file, or pieces that are sent as they come.

        The score so far comes after every `stride` tokens, even while the text is still being sent.
        """
        return Stream(
            self._channel.talk(routes.SCORE_STREAM.call({**options}), text), BlockReader()
        )

    def score_lines(
        self, text: Chunks, **options: Unpack[parameters.ScoreLinesOptions]
    ) -> Stream[LineScore]:
        """Measure each line of a text of any length, in order."""
        return Stream(
            self._channel.talk(routes.SCORE_LINES.call({**options}), text), LineScoreReader()
        )

    def next(self, prefix: Texts = "", **options: Unpack[parameters.NextOptions]) -> Predictions:
        """Predict the next token of one prefix or several."""
        return self._channel.ask(routes.NEXT.call({"prefix": prefix, **options}))

    def rescore(
        self,
        hypotheses: Sequence[Hypothesis | str],
        **options: Unpack[parameters.RescoreOptions],
    ) -> Rescoring:
        """Order what a recogniser proposes by its own score and by how it reads."""
        values = [hypothesis_values(each) for each in hypotheses]
        return self._channel.ask(routes.RESCORE.call({"hypotheses": values, **options}))

    def sentiment(self, text: Texts, **options: Unpack[parameters.SentimentOptions]) -> Sentiments:
        """Classify the sentiment of reviews, in English or Chinese."""
        return self._channel.ask(routes.SENTIMENT.call({"text": text, **options}))

    def embed(self, text: Texts, **options: Unpack[parameters.EmbedOptions]) -> Embeddings:
        """Return a vector of unit length for each text."""
        return self._channel.ask(routes.EMBED.call({"text": text, **options}))

    def session(self, text: str = "", **options: Unpack[parameters.SessionOptions]) -> Session:
        """Return a session, not yet opened: a `with` block or `open()` does that."""
        return Session(self._channel, routes.SESSION.call({"text": text, **options}))

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Post a JSON body to a route, and return the JSON object that it answers, as the server sent it.

        Raises
        ------
        ValueError
            If the path does not begin with a slash.
        UnexpectedAnswerError
            If the answer is not a JSON object, as of a stream.
        """
        return self._channel.ask(routes.posted(path, body))

    def models(self) -> Models:
        """List what is loaded."""
        return self._channel.ask(routes.MODELS.call())

    def model(self, name: str) -> Model:
        """Show one model."""
        return self._channel.ask(routes.MODEL.call(name=name))

    def learning_curve(self, name: str) -> LearningCurve:
        """Show how a model learned: loss and validation by step."""
        return self._channel.ask(routes.LEARNING_CURVE.call(name=name))

    def load(self) -> Load:
        """Return how busy the server's models are just now."""
        return self._channel.ask(routes.LOAD.call())

    def health(self, check: Literal["ready", "live"] = "ready") -> Health:
        """Return the status of a server that can work, or only answers; else raise an `OverloadedError`."""
        return self._channel.ask((routes.READY if check == "ready" else routes.LIVE).call())

    def version(self) -> Version:
        """Return the versions of the server's parts."""
        return self._channel.ask(routes.VERSION.call())

    def close(self) -> None:
        """Close the connections."""
        if self._is_http_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
