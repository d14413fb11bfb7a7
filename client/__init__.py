"""A client of a Refrain server; needs httpx alone.

from refrain import Client

with Client("http://127.0.0.1:8000") as client:
    print(client.generate("The river flows through the", max_tokens=20, temperature=0.7).text)
"""

from refrain.client.async_client import AsyncClient
from refrain.client.client import Client
from refrain.client.contract.answers.classification import Sentiment, Sentiments
from refrain.client.contract.answers.embedding import Embedding, Embeddings
from refrain.client.contract.answers.generation import (
    Alternative,
    Choice,
    Generation,
    Piece,
    StreamEnd,
    TokenLogprob,
    Usage,
)
from refrain.client.contract.answers.loaded_models import (
    LearningCurve,
    Metric,
    Model,
    Models,
    TrainingPoint,
    ValidationPoint,
)
from refrain.client.contract.answers.prediction import (
    NextToken,
    Prediction,
    Predictions,
    SessionInfo,
    SessionNext,
)
from refrain.client.contract.answers.scoring import (
    Block,
    LineScore,
    Rescored,
    Rescoring,
    Scores,
    TextScore,
    TokenScore,
)
from refrain.client.contract.answers.service import Health, Load, ModelLoad, Version
from refrain.client.contract.parameters import Hypothesis
from refrain.client.errors import (
    ClientError,
    ConnectionFailedError,
    DeadlineError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    OverloadedError,
    ServerError,
    UnexpectedAnswerError,
)
from refrain.client.retries import Retries
from refrain.client.session import AsyncSession, Session
from refrain.client.streams import AsyncStream, AsyncTextStream, Stream, TextStream

__all__ = [
    "Alternative",
    "AsyncClient",
    "AsyncSession",
    "AsyncStream",
    "AsyncTextStream",
    "Block",
    "Choice",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "DeadlineError",
    "Embedding",
    "Embeddings",
    "Generation",
    "Health",
    "Hypothesis",
    "InvalidRequestError",
    "LearningCurve",
    "LineScore",
    "Load",
    "Metric",
    "Model",
    "ModelLoad",
    "Models",
    "NextToken",
    "NotAllowedError",
    "NotFoundError",
    "OverloadedError",
    "Piece",
    "Prediction",
    "Predictions",
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
    "TrainingPoint",
    "UnexpectedAnswerError",
    "Usage",
    "ValidationPoint",
    "Version",
]

if __name__ == "client":
    raise ImportError(
        "`client` is imported as `refrain.client`; docs/versions.md has the old names and the new"
    )
