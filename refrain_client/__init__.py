"""A client of a Refrain server.

from refrain_client import Client

with Client("http://127.0.0.1:8000") as client:
    print(client.generate("The river flows through the", max_tokens=20, temperature=0.7).text)
"""

from refrain_client.answers import (
    Alternative,
    Block,
    Choice,
    Embedding,
    Embeddings,
    Generation,
    Health,
    LineScore,
    Metric,
    Model,
    Models,
    NextToken,
    Piece,
    Prediction,
    Predictions,
    Rescored,
    Rescoring,
    Scores,
    Sentiment,
    Sentiments,
    SessionInfo,
    SessionNext,
    StreamEnd,
    TextScore,
    TokenLogprob,
    TokenScore,
    Usage,
    Version,
)
from refrain_client.async_client import AsyncClient
from refrain_client.client import Client
from refrain_client.errors import (
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    OverloadedError,
    RefrainError,
    ServerError,
    UnexpectedAnswerError,
)
from refrain_client.parameters import Hypothesis
from refrain_client.retries import Retries
from refrain_client.session import AsyncSession, Session
from refrain_client.streams import AsyncStream, AsyncTextStream, Stream, TextStream

__all__ = [
    "Alternative",
    "AsyncClient",
    "AsyncSession",
    "AsyncStream",
    "AsyncTextStream",
    "Block",
    "Choice",
    "Client",
    "ConnectionFailedError",
    "DeadlineError",
    "Embedding",
    "Embeddings",
    "Generation",
    "Health",
    "Hypothesis",
    "InvalidRequestError",
    "LineScore",
    "Metric",
    "Model",
    "Models",
    "NextToken",
    "NotAllowedError",
    "NotFoundError",
    "OverloadedError",
    "Piece",
    "Prediction",
    "Predictions",
    "RefrainError",
    "Rescored",
    "Rescoring",
    "Retries",
    "Scores",
    "Sentiment",
    "Sentiments",
    "ServerError",
    "Session",
    "SessionInfo",
    "SessionNext",
    "Stream",
    "StreamEnd",
    "TextScore",
    "TextStream",
    "TokenLogprob",
    "TokenScore",
    "UnexpectedAnswerError",
    "Usage",
    "Version",
]
