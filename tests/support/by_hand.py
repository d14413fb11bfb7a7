"""Operations that are sent results made by hand: no engine runs, and what was asked is there to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from refrain.inference.engine.request import Predicted, Request, Result, Scored, TextState, Written
from refrain.inference.operation import MORE, Delta, Gather, Operation
from refrain.inference.operations.text_model import TextModel
from refrain.models.checkpoint import Checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.native.step.shape import ModelShape
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.splitter import TokenizerKind
from refrain.models.text.tokenizer import Tokenizer
from refrain.models.text.word_index import WordIndex
from tests.support.checkpoints import ENGLISH, card

R = TypeVar("R")
Reply = Callable[[Request], Result | Sequence[Written]]
"""Answers a request: with its result, or with the results of a stream one after the other."""


@dataclass
class Heard(Generic[R]):
    """What an operation returned, and what it asked on the way; `num_left` counts results that it did not wait for."""

    answer: R
    requests: list[Request]
    deltas: list[Delta]
    num_left: int


@dataclass
class _Course:
    reply: Reply
    requests: list[Request] = field(default_factory=list)
    deltas: list[Delta] = field(default_factory=list)
    num_left: int = 0


def run_by_hand(operation: Operation[R], reply: Reply) -> Heard[R]:
    """Run an operation, those that it gathers one after the other."""
    course = _Course(reply)
    return Heard(_answer(operation, course), course.requests, course.deltas, course.num_left)


def _answer(operation: Operation[Any], course: _Course) -> Any:
    value: Any = None
    stream: Iterator[Result] = iter(())
    while True:
        try:
            work = operation.send(value)
        except StopIteration as end:
            course.num_left += len(list(stream))
            return end.value
        if isinstance(work, Gather):
            value = [_answer(each, course) for each in work.operations]
        elif isinstance(work, Delta):
            course.deltas.append(work)
            value = None
        elif work is MORE:
            value = next(stream)
        else:
            course.num_left += len(list(stream))
            course.requests.append(work)
            found = course.reply(work)
            stream = iter(found if isinstance(found, Sequence) else [found])
            value = next(stream)


def replies(*results: Result | Sequence[Written]) -> Reply:
    """Answer requests with these results, in this order."""
    left = iter(results)
    return lambda _: next(left)


def state(number: int = 0, unread: tuple[int, ...] = (3,)) -> TextState:
    """A state that can be told from those of other numbers."""
    return TextState(f"state {number}".encode(), number, unread)


def read_state(number: int = 0) -> Written:
    """The result of a text that was only read."""
    return Written([], [], [], "length", state(number))


def scores(*logprobs: float, **others: Any) -> Scored:
    """The result of a score, whose ranks are 1, 2, 3, ..."""
    return Scored([*logprobs], [*range(1, len(logprobs) + 1)], **others)


def prediction(log_probs: Sequence[float], **others: Any) -> Predicted:
    """The result of a prediction, without the likeliest tokens."""
    values = np.array(log_probs, np.float32)
    return Predicted(values, others.pop("entropy", 0.0), others.pop("top", []), **others)


def text_model(
    kind: TokenizerKind = "words",
    text: str = ENGLISH,
    *,
    hidden_size: int = 8,
    num_units: int = 3,
) -> TextModel:
    """Make a model whose network is there for its sizes alone.

    Parameters
    ----------
    hidden_size
        Elements of a hidden state as it is reported; 0 for none.
    num_units
        Those of them that stand for units of the last layer.
    """
    tokenizer = Tokenizer.train(kind, [text])
    size = tokenizer.vocab_size
    torch.manual_seed(0)
    network = LanguageModel(
        LanguageModelConfig(
            vocab_size=size, embedding_size=num_units, hidden_size=num_units, num_layers=1
        )
    )
    checkpoint = Checkpoint("by-hand", network.eval(), tokenizer, card("en"))
    precision = "int8" if hidden_size else "fp32"
    shape = ModelShape(size, tokenizer.eos_id, hidden_size, 7)
    return TextModel(checkpoint, shape, precision, b"version", WordIndex.of(tokenizer))
