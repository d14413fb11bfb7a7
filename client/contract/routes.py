"""The table of routes, and how values become a call of one. Both clients stand on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from refrain.client.contract.answers.classification import Sentiments
from refrain.client.contract.answers.embedding import Embeddings
from refrain.client.contract.answers.generation import Generation, Piece
from refrain.client.contract.answers.loaded_models import LearningCurve, Model, Models
from refrain.client.contract.answers.prediction import Predictions, SessionInfo, SessionNext
from refrain.client.contract.answers.scoring import Block, LineScore, Rescoring, Scores
from refrain.client.contract.answers.service import Health, Load, Version

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Route(Generic[Answer]):
    """A route of the server as one method of the clients has it.

    Attributes
    ----------
    name
        The method: of a client, or of a session where the path names one.
    answer
        What is answered, or what a stream is made of.
    fixed
        Fields whose value the method itself sets.
    is_pure
        Whether asking twice is as good as asking once.
    is_retried
        Whether a refusal for the moment is worth another try.
    in_query
        Whether values go into the address, as the body is the text.
    """

    name: str
    method: str
    path: str
    answer: type[Answer]
    fixed: Mapping[str, object] = field(default_factory=dict)
    is_pure: bool = True
    is_retried: bool = True
    in_query: bool = False

    def call(self, values: Mapping[str, object] | None = None, **in_path: str) -> Call[Answer]:
        """Return the call with values in the body, or the address, and names in the path."""
        names = {name: quote(value, safe="") for name, value in in_path.items()}
        everything = {**(values or {}), **self.fixed}
        if self.in_query:
            everything = {k: v for k, v in everything.items() if v is not None}
        return Call(self, self.path.format(**names), everything)


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request to come."""

    route: Route[Answer]
    path: str
    values: Mapping[str, Any]

    @property
    def deadline(self) -> float | None:
        """Seconds after which the server gives up; None where the call has no number for it."""
        seconds = self.values.get("timeout")
        return seconds if isinstance(seconds, int | float) else None


GENERATE = Route("generate", "POST", "/generate", Generation)
STREAM = Route("stream", "POST", "/generate", Piece, {"stream": True})
SCORE = Route("score", "POST", "/score", Scores)
SCORE_STRIDES = Route("score_strides", "POST", "/score", Block)
SCORE_STREAM = Route(
    "score_stream", "POST", "/score/stream", Block, {"unit": "text"}, in_query=True
)
SCORE_LINES = Route(
    "score_lines", "POST", "/score/stream", LineScore, {"unit": "line"}, in_query=True
)
NEXT = Route("next", "POST", "/next", Predictions)
RESCORE = Route("rescore", "POST", "/rescore", Rescoring)
SENTIMENT = Route("sentiment", "POST", "/sentiment", Sentiments)
EMBED = Route("embed", "POST", "/embed", Embeddings)
SESSION = Route("session", "POST", "/sessions", SessionInfo, is_pure=False)
SESSION_APPEND = Route("append", "POST", "/sessions/{session}/append", SessionInfo, is_pure=False)
SESSION_NEXT = Route("next", "POST", "/sessions/{session}/next", SessionNext)
SESSION_CLOSE = Route("close", "DELETE", "/sessions/{session}", type(None), is_pure=False)
MODELS = Route("models", "GET", "/models", Models)
MODEL = Route("model", "GET", "/models/{name}", Model)
LEARNING_CURVE = Route("learning_curve", "GET", "/models/{name}/learning-curve", LearningCurve)
LOAD = Route("load", "GET", "/load", Load)
LIVE = Route("health", "GET", "/health/live", Health, is_retried=False)
READY = Route("health", "GET", "/health/ready", Health, is_retried=False)
VERSION = Route("version", "GET", "/version", Version)

ROUTES: tuple[Route[Any], ...] = (
    GENERATE,
    STREAM,
    SCORE,
    SCORE_STRIDES,
    SCORE_STREAM,
    SCORE_LINES,
    NEXT,
    RESCORE,
    SENTIMENT,
    EMBED,
    SESSION,
    SESSION_APPEND,
    SESSION_NEXT,
    SESSION_CLOSE,
    MODELS,
    MODEL,
    LEARNING_CURVE,
    LOAD,
    LIVE,
    READY,
    VERSION,
)
_PURE_POSTS = frozenset(each.path for each in ROUTES if each.method == "POST" and each.is_pure)


def posted(path: str, body: Mapping[str, object]) -> Call[dict[str, Any]]:
    """Return the call that posts a body to a route by its path; its answer is the JSON object itself.

    A route that is not in the table counts as one that is not pure.

    Raises
    ------
    ValueError
        If the path does not begin with a slash.
    """
    if not path.startswith("/"):
        raise ValueError(f"path must begin with /, not {path!r}")
    route: Route[dict[str, Any]] = Route("post", "POST", path, dict, is_pure=path in _PURE_POSTS)
    return Call(route, path, body)
