"""Tiny networks with an engine, whose requests are served to the end."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
import torch

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request, Result, Written
from refrain.inference.engine.sequence import Sequence as EngineSequence
from refrain.inference.runners.precision import Precision, make_runner
from refrain.models.config import LanguageModelConfig, NGramConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.ngram.kneser_ney import KneserNeyModel

VOCABULARY = 50
BOUNDARY = 1
LIMITS = {"max_slots": 6, "max_queue": 100, "block_width": 8, "max_block_rows": 3, "row_tile": 4}
CONFIG = EngineConfig(**LIMITS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run torch on one thread: products as small as these only wait for one another on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recurrent(
    cell: str = "lstm", vocab_size: int = VOCABULARY, seed: int = 0, num_layers: int = 2
) -> LanguageModel:
    """A network of random weights."""
    torch.manual_seed(seed)
    config = LanguageModelConfig(
        vocab_size=vocab_size, cell=cell, embedding_size=24, hidden_size=40, num_layers=num_layers
    )
    return LanguageModel(config).eval()


def counted() -> KneserNeyModel:
    """A model that counts trigrams."""
    texts = random.Random(0)
    documents = [[texts.randrange(2, VOCABULARY) for _ in range(30)] for _ in range(20)]
    return KneserNeyModel.estimate(documents, NGramConfig(vocab_size=VOCABULARY, order=3))


def engine_of(
    model: LanguageModel | KneserNeyModel,
    precision: Precision = "int8",
    config: EngineConfig = CONFIG,
) -> Engine:
    """An engine that nobody drives."""
    return Engine(make_runner(model, precision, config, eos_id=BOUNDARY)[1], config)


def add(
    engine: Engine, requests: Iterable[Request], caller: str = "", *, is_admitted: bool = False
) -> list[EngineSequence]:
    """Queue requests, all or none."""
    sequences = [engine.sequence(request, caller) for request in requests]
    engine.add(sequences, is_admitted=is_admitted)
    return sequences


def finish(engine: Engine, sequences: Iterable[EngineSequence]) -> list[list[Result]]:
    """Serve everybody to the end; return all that was found out for each of these."""
    found: dict[EngineSequence, list[Result]] = {sequence: [] for sequence in sequences}
    while engine.scheduler.num_taken:
        engine.admit()
        for sequence, result in engine.step():
            found.setdefault(sequence, []).append(result)
    return [found[sequence] for sequence in sequences]


def serve(engine: Engine, requests: Iterable[Request], caller: str = "") -> list[list[Result]]:
    """Serve requests side by side; return the results of each."""
    return finish(engine, add(engine, requests, caller))


def content(results: Sequence[Result]) -> list[object]:
    """Everything that was found out for a request, however it was cut to results, arrays as their bytes."""
    *_, last = results
    if isinstance(last, Written):
        parts = [each for each in results if isinstance(each, Written)]
        last = dataclasses.replace(
            last,
            token_ids=[token_id for part in parts for token_id in part.token_ids],
            logprobs=[logprob for part in parts for logprob in part.logprobs],
            top=[top for part in parts for top in part.top],
        )
    else:
        assert len(results) == 1
    values = [getattr(last, field.name) for field in dataclasses.fields(last)]
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]
