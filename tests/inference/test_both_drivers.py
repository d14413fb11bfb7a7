"""One operation, two drivers: every operation has the same answer, byte for byte, whoever runs it and beside whom."""

from __future__ import annotations

import asyncio
import json
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch

from refrain.inference.drivers.blocking import BlockingDriver
from refrain.inference.drivers.threaded import Running, ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.loading import load_engine
from refrain.inference.operation import Delta, Operation, gather, read
from refrain.inference.operations import scoring
from refrain.inference.operations.embedding import embed
from refrain.inference.operations.generation import GenerationParams, generate, read_back
from refrain.inference.operations.next_token import NextQuery, predict_next
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams, rescore
from refrain.inference.operations.scoring import ScoreParams, score_ids, score_text
from refrain.inference.operations.session import GrowingText, append
from refrain.inference.operations.text_model import TextModel
from refrain.inference.plain import Plain
from refrain.inference.runners.precision import Precision
from refrain.models.checkpoint import load_checkpoint, save_checkpoint
from refrain.models.config import LanguageModelConfig, NGramConfig
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.want import Want
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCache
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.text_borders import split_tail, with_space
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import ENGLISH, card
from tests.support.fake_runner import LIMIT

KINDS: dict[str, tuple[str, Precision]] = {
    "LSTM int8": ("lstm", "int8"),
    "GRU int8": ("gru", "int8"),
    "Elman int8": ("elman", "int8"),
    "LSTM fp32": ("lstm", "fp32"),
    "LSTM bf16": ("lstm", "bf16"),
    "Jordan fp32": ("jordan", "fp32"),
    "n-gram": ("n-gram", "auto"),
}
PROMPTS = ("The old cat", "", "The dog didn't sit, and the")
STRIDE = 16
Make = Callable[[TextModel], Operation[Any]]


@dataclass(frozen=True)
class Served:
    """A model, and an engine of it under each driver."""

    model: TextModel
    blocking: BlockingDriver
    threaded: ThreadedDriver


@pytest.fixture(scope="module", params=KINDS)
def served(request, tmp_path_factory) -> Iterator[Served]:
    cell, precision = KINDS[request.param]
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = Tokenizer.train("words", [ENGLISH])
    save_checkpoint(folder, network_of(cell, tokenizer), tokenizer, card("en"))
    checkpoint = load_checkpoint(folder)
    # Neither the slots nor what was read before may change a byte.
    model, engine = load_engine(checkpoint, EngineConfig(max_slots=5), precision)
    limits = EngineConfig(max_slots=12, prefix_cache_bytes=100_000, max_steps=7)
    _, other_engine = load_engine(checkpoint, limits, precision)
    threaded = ThreadedDriver(other_engine, limits.max_queue)
    threaded.start_thread()
    yield Served(model, BlockingDriver(engine), threaded)
    asyncio.run(threaded.stop())


def network_of(cell: str, tokenizer: Tokenizer) -> LanguageModel | KneserNeyModel:
    size = tokenizer.vocab_size
    if cell == "n-gram":
        texts = [tokenizer.encode(ENGLISH).ids, tokenizer.encode("The cat sat.").ids]
        return KneserNeyModel.estimate(texts, NGramConfig(vocab_size=size, order=3))
    torch.manual_seed(0)
    return LanguageModel(
        LanguageModelConfig(
            vocab_size=size, cell=cell, embedding_size=12, hidden_size=16, num_layers=2
        )
    )


def writing(prompts: Iterable[str] = PROMPTS, seed: int = 7, **params: Any) -> Make:
    wanted = GenerationParams(**params)
    return lambda model: generate(
        model, [read_prompt(model.tokenizer, prompt) for prompt in prompts], wanted, seed
    )


def writing_on(model: TextModel) -> Operation[Any]:
    """Write, and go on from the states of what was written."""
    sampling = SamplingParams(max_tokens=5, ignore_eos=True, temperature=0.8)
    params = GenerationParams(sampling, return_state=True)
    first = yield from writing(sampling=sampling, return_state=True)(model)
    prompts = [read_prompt(model.tokenizer, " and", each.state) for each in first.choices]
    second = yield from generate(model, prompts, params, seed=3)
    return first, second


def reading_back(model: TextModel) -> Operation[Any]:
    prompts = [read_prompt(model.tokenizer, prompt, spells=True) for prompt in PROMPTS]
    return gather(read_back(model, prompt, 2) for prompt in prompts)


def scoring_of(**params: bool) -> Make:
    texts = ["The old cat sat on the mat.", "", "A dog! It slept", "the " * 40]
    return lambda model: gather(
        score_text(model, text, model.tokenizer.encode(text), ScoreParams(**params))
        for text in texts
    )


def scoring_after_a_state(model: TextModel) -> Operation[Any]:
    encoding = model.tokenizer.encode(" cat saw it.")
    state = yield from read(model.tokenizer.encode("The dog and the").ids)
    params = ScoreParams(per_token=True, return_state=True)
    return (yield from score_text(model, " cat saw it.", encoding, params, state))


def scoring_in_strides(model: TextModel) -> Operation[Any]:
    ids = model.tokenizer.encode(ENGLISH * 3).ids
    assert len(ids) > 4 * STRIDE
    return score_ids(ids, want=Want(ranks=True, state=True))


def scoring_with_tops(model: TextModel) -> Operation[Any]:
    return score_ids(model.tokenizer.encode(ENGLISH).ids, want=Want(top=4, ranks=True, state=True))


def scoring_with_hidden_states(model: TextModel) -> Operation[Any]:
    return score_ids(model.tokenizer.encode(ENGLISH).ids, want=Want(hidden=True))


def predicting(**query: Any) -> Make:
    return lambda model: gather(
        predict_next(model, read_prompt(model.tokenizer, prompt), NextQuery(**query))
        for prompt in PROMPTS
    )


def rescoring_of(context: str, **params: Any) -> Make:
    def make(model: TextModel) -> Operation[Any]:
        texts = ("the cat sat", "a cat saw it", "the the the", "")
        given = [Hypothesis(text, 0.5 * n) for n, text in enumerate(texts)]
        encoded = [
            (each, model.tokenizer.encode(with_space(model.tokenizer, each.text, is_inside=True)))
            for each in given
        ]
        read_before = model.tokenizer.encode(context).ids
        return rescore(model, read_before, encoded, RescoringParams(**params))

    return make


def embedding_of(pooling: Any) -> Make:
    return lambda model: gather(
        embed(model, model.tokenizer.encode(text).ids, pooling)
        for text in ("The old cat", ENGLISH, "mat " * 1_100)
    )


def session(model: TextModel, *, adaptive: bool = False) -> Operation[Any]:
    """Type a text piece by piece, and predict after each."""
    tokenizer = model.tokenizer
    text = GrowingText(cache=model.new_cache() if adaptive else None)
    query = NextQuery(top_k=4, candidates=[" cat", "sat on"], return_state=True)
    found: list[object] = []
    for typed in ("The o", "ld cat sat on the ", "mat.", " " + "The cat saw the dog. " * 20, "Th"):
        settled, tail = split_tail(tokenizer, text.tail + typed)
        text = yield from append(text, tokenizer.encode(settled).ids, tail)
        under_way = read_prompt(tokenizer, text.tail, text.state)
        found.append((yield from predict_next(model, under_way, query, text.cache_view)))
        found.append(text.fork())
    return found


def adaptive_session(model: TextModel) -> Operation[Any]:
    return session(model, adaptive=True)


SAMPLED = SamplingParams(max_tokens=20, temperature=0.9, top_p=0.95)
PENALISED = SamplingParams(
    max_tokens=20,
    temperature=1.2,
    top_k=12,
    min_p=0.01,
    typical_p=0.9,
    repetition_penalty=1.3,
    frequency_penalty=0.2,
    presence_penalty=0.1,
    ignore_eos=True,
)
SEARCHED = {"num_beams": 3, "n": 2, "logprobs": 2, "return_state": True}
OPERATIONS: dict[str, Make] = {
    "write": writing(sampling=SAMPLED),
    "write greedily with logprobs and states": writing(logprobs=3, return_state=True),
    "write several": writing(sampling=PENALISED, n=3, logprobs=0),
    "write several as a stream": writing(sampling=PENALISED, n=2, stream=True, return_state=True),
    "write the best of several": writing(sampling=SAMPLED, n=2, best_of=4, logprobs=1),
    "write up to a stop": writing(sampling=PENALISED, n=2, stop=(" the", "!"), return_state=True),
    "write with biases": writing(
        sampling=SAMPLED, logit_bias={" cat": 2.0, " dog": -9.0}, allowed=(" cat", " dog", " it")
    ),
    "write on from states": writing_on,
    "search": writing(sampling=SamplingParams(max_tokens=9), **SEARCHED),
    "search up to a stop": writing(
        sampling=SamplingParams(max_tokens=9), stop=(" the",), length_penalty=0.6, **SEARCHED
    ),
    "read back": reading_back,
    "score": scoring_of(),
    "score every token": scoring_of(per_token=True, count_end=True, return_state=True),
    "score after a state": scoring_after_a_state,
    "score in strides": scoring_in_strides,
    "score with tops": scoring_with_tops,
    "score with hidden states": scoring_with_hidden_states,
    "predict": predicting(return_state=True),
    "predict all": predicting(top_k=1_000),
    "predict a word under way": predicting(starts_with="s"),
    "predict candidates of one token": predicting(candidates=["cat", "dog", "."]),
    "predict candidates of several": predicting(candidates=["cat sat", "dog", "zebra in it"]),
    "compare candidates": predicting(
        candidates=["cat", "dog", "it"], normalize="candidates", return_state=True
    ),
    "rescore": rescoring_of("The old", weight=0.7, length_normalize=True),
    "rescore without a context": rescoring_of("", bos=False, eos=True),
    "rescore among hypotheses": rescoring_of("The old", eos=True, normalize="hypotheses"),
    "embed": embedding_of("mean"),
    "embed the last state": embedding_of("last"),
    "session": session,
    "adaptive session": adaptive_session,
}
NEED_HIDDEN_STATES = {
    "score with hidden states",
    "embed",
    "embed the last state",
    "adaptive session",
}


def crowd(model: TextModel) -> list[Operation[Any]]:
    """What runs beside an operation."""
    params = GenerationParams(PENALISED)
    prompt = read_prompt(model.tokenizer, "A lovely")
    return [
        *(generate(model, [prompt], params, seed) for seed in range(3)),
        score_ids(model.tokenizer.encode(ENGLISH).ids),
    ]


def exact(value: Any) -> object:
    """Return what has to be equal of an answer: the bytes of every number, and its JSON."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, (np.ndarray, array)):
        content = np.asarray(value)
        return (str(content.dtype), content.shape, content.tobytes())
    if isinstance(value, (list, tuple)):
        return [exact(each) for each in value]
    if isinstance(value, NeuralCache):
        return {name: exact(each) for name, each in vars(value).items()}
    if is_dataclass(value):
        parts = {each.name: exact(getattr(value, each.name)) for each in fields(value)}
        return (type(value), parts, json.dumps(value.as_json()) if isinstance(value, Plain) else "")
    return value


def texts_of(deltas: Iterable[Delta]) -> dict[int, str]:
    """Return the text of each stream, however it was cut."""
    texts: dict[int, str] = {}
    for delta in deltas:
        texts[delta.index] = texts.get(delta.index, "") + delta.text
    return texts


def run_blocking(served: Served, make: Make) -> tuple[list[object], dict[int, str]]:
    """Run an operation alone, beside others, and as a stream; return the answers, and what was streamed."""
    model, driver = served.model, served.blocking
    alone = driver.run(make(model))
    beside, *_ = driver.run_all([make(model), *crowd(model)])
    stream, deltas = driver.stream(make(model)), []
    while True:
        try:
            deltas.append(next(stream))
        except StopIteration as end:
            return [alone, beside, end.value], texts_of(deltas)


async def run_threaded(served: Served, make: Make) -> tuple[list[object], dict[int, str]]:
    """Run an operation alone, beside others and among them, and as a stream."""
    model, driver = served.model, served.threaded
    alone = await driver.run(make(model))
    beside, (among, *_) = await asyncio.gather(
        driver.run(make(model)), driver.run(gather([make(model), *crowd(model)]))
    )
    running = Running(driver, make(model))
    deltas = [delta async for delta in running.deltas()]
    return [alone, beside, among, await running.answer()], texts_of(deltas)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_same_answer_under_both_drivers(served, name, monkeypatch) -> None:
    if name in NEED_HIDDEN_STATES and not served.model.shape.hidden_size:
        pytest.skip("only models in int8 report hidden states")
    monkeypatch.setattr(scoring, "STRIDE", STRIDE)
    make = OPERATIONS[name]
    answers, texts = run_blocking(served, make)
    others, other_texts = asyncio.run(asyncio.wait_for(run_threaded(served, make), LIMIT))
    assert other_texts == texts
    expected, *found = [exact(answer) for answer in (*answers, *others)]
    assert found == [expected] * 6
