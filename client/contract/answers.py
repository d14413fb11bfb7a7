"""What the routes answer. Fields have the names of the HTTP contract; log-probabilities are natural."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refrain.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have stood there."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A written token and the likeliest in its place."""

    token: str
    logprob: float
    top: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One text; `index` is prompt x n + i, `finish_reason` is "stop" or "length"."""

    index: int
    text: str
    finish_reason: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """The texts of `generate`, and the seed that repeats them."""

    model: str
    choices: tuple[Choice, ...]
    seed: int
    usage: Usage

    @property
    def text(self) -> str:
        """The first text."""
        return self.choices[0].text


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one text of a stream; its last has a `finish_reason`."""

    index: int
    text: str
    finish_reason: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The last event of a stream of text."""

    model: str
    seed: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token and its place in the text, in characters; rank 1 is the likeliest."""

    token: str
    logprob: float
    rank: int
    start: int
    end: int
    unknown: bool | None = None


@dataclass(frozen=True, slots=True)
class TextScore:
    """The score of one text; perplexity and bits are None for an empty one."""

    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    tokens: tuple[TokenScore, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of `score`, one a text."""

    model: str
    results: tuple[TextScore, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """What is known of a long text so far; the last one is `final`."""

    model: str
    perplexity: float | None
    log_likelihood: float
    num_tokens: int
    num_unknown: int
    bits_per_character: float | None
    final: bool
    state: str | None = None


@dataclass(frozen=True, slots=True)
class LineScore:
    """The score of one line, numbered from 1; with an `error` it has none."""

    line: int
    perplexity: float | None = None
    log_likelihood: float | None = None
    num_tokens: int | None = None
    num_unknown: int | None = None
    bits_per_character: float | None = None
    error: ClientError | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A token or a candidate; `unknown` marks one with a word that the vocabulary lacks."""

    token: str
    probability: float
    logprob: float
    unknown: bool | None = None


@dataclass(frozen=True, slots=True)
class NextToken:
    """What may follow one prefix; the entropy is in nats."""

    predictions: tuple[Prediction, ...]
    entropy: float
    candidates: tuple[Prediction, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """The results of `next`, one a prefix."""

    model: str
    results: tuple[NextToken, ...]


@dataclass(frozen=True, slots=True)
class Rescored:
    """A hypothesis with each part of its score."""

    text: str
    total: float
    given: float
    log_likelihood: float
    num_tokens: int
    num_unknown: int


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The hypotheses of `rescore`, best first."""

    model: str
    hypotheses: tuple[Rescored, ...]


@dataclass(frozen=True, slots=True)
class Sentiment:
    """What one review thinks; stars are from 0 to 5."""

    label: str
    probabilities: Mapping[str, float]
    stars: float
    model: str


@dataclass(frozen=True, slots=True)
class Sentiments:
    """The results of `sentiment`, one a text."""

    results: tuple[Sentiment, ...]


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """The loss of one step of training."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class ValidationPoint:
    """What validation measured after a step: `perplexity` or `accuracy`."""

    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How a model learned; empty where its training left no log."""

    model: str
    training: tuple[TrainingPoint, ...]
    validation: tuple[ValidationPoint, ...]


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """One model's engine just now; totals are since the start."""

    model: str
    num_running: int
    num_waiting: int
    max_slots: int
    max_queue: int
    prompt_tokens_total: int
    generation_tokens_total: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Load:
    """The service just now: "ready" or "not_ready"."""

    status: str
    uptime_seconds: float
    models: tuple[ModelLoad, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """One text's vector, of unit length."""

    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The results of `embed`, one a text."""

    model: str
    results: tuple[Embedding, ...]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session; the word under way is not among its tokens."""

    session: str
    model: str
    num_tokens: int


@dataclass(frozen=True, slots=True)
class SessionNext:
    """What may follow a session's text."""

    session: str
    model: str
    predictions: tuple[Prediction, ...]
    entropy: float
    candidates: tuple[Prediction, ...] | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure; `model` is empty for the model itself, else a baseline's name."""

    name: str
    split: str
    value: float
    model: str


@dataclass(frozen=True, slots=True)
class Model:
    """One loaded model; `source` is "shipped" or "folder", where it came from."""

    name: str
    source: str
    task: str
    language: str
    description: str
    tokenizer: str
    vocab_size: int
    num_parameters: int | None
    precision: str
    config: Mapping[str, Any]
    training_data: str
    training: Mapping[str, Any]
    license: str
    quality: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Models:
    """Every loaded model."""

    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a service that answers: "live" or "ready"."""

    status: str


@dataclass(frozen=True, slots=True)
class Version:
    """The versions of the server's parts, and its device."""

    refrain: str
    python: str
    torch: str
    device: str
