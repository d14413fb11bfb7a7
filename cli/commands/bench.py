"""`refrain bench`: how fast a checkpoint is on this machine."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

from refrain.cli.options.answers import add_folder_option, add_precision_option
from refrain.cli.options.processor import add_threads_option, machine, num_threads_of
from refrain.cli.output import write_json

if TYPE_CHECKING:
    from refrain.inference.local import LocalModel

EXAMPLES = """examples:
  refrain bench
  refrain bench english --num-threads 1
  refrain bench my-models/book --json

Medians of several runs, without HTTP, in less than a minute. On a busy machine all values are lower.
"""
ROWS = (1, 8, 64)
NUM_TOKENS = 64
"""Tokens of a text that is written."""
NUM_TORCH_TOKENS = 16
"""Tokens of a text that torch writes beside it."""
NUM_DOCUMENTS, DOCUMENT_TOKENS = 64, 256
NUM_TYPED = 40
"""Tokens that are typed into a session in one run."""
MAX_RUNS, MAX_SECONDS = 7, 4.0
"""Of one measurement: so many runs after a first one, unless they take longer."""


@dataclass(frozen=True)
class Measurement:
    """One measured value; `torch` is that of the same weights in torch, float32, step by step."""

    name: str
    unit: str
    value: float
    torch: float | None = None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast a checkpoint is here",
        description="Measure how fast a language model writes, scores and predicts on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="NAME|DIR",
        help="a checkpoint: its name in the folder of --models, or its own folder (default: the first)",
    )
    add_folder_option(parser)
    add_precision_option(parser)
    add_threads_option(parser)
    parser.add_argument("--json", action="store_true", help="write a line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print a table."""
    from refrain.cli.answers.local import LocalAnswers

    num_threads = num_threads_of(options)
    model = LocalAnswers(options).language_model("")
    about = {"model": model.checkpoint.name, "precision": model.precision, **machine(num_threads)}
    if not options.json:
        print(", ".join(str(value) for value in about.values()), flush=True)
        print(f"{'':38}{'Refrain':>12}{'torch fp32':>14}", flush=True)
    measured = []
    for measure in measurements(model):
        measured.append(measure())
        if not options.json:
            print(_row(measured[-1]), flush=True)
    if options.json:
        write_json({**about, "figures": [asdict(each) for each in measured]})
    return 0


def measurements(model: LocalModel) -> list[Callable[[], Measurement]]:
    """Return what is measured, each as a call that takes some seconds."""

    def writing(num_rows: int) -> Callable[[], Measurement]:
        return lambda: Measurement(
            f"writing, {num_rows} text{'s' * (num_rows > 1)} at once",
            "tokens/s",
            num_rows * NUM_TOKENS / seconds_of(lambda: texts_of(model, num_rows, NUM_TOKENS)),
            num_rows * NUM_TORCH_TOKENS / seconds_of(lambda: write_in_torch(model, num_rows)),
        )

    def scoring() -> Measurement:
        texts = texts_of(model, NUM_DOCUMENTS, DOCUMENT_TOKENS)
        num_tokens = sum(score.num_tokens for score in model.score_all(texts))
        seconds = seconds_of(lambda: list(model.score_all(texts)))
        return Measurement(f"scoring, {NUM_DOCUMENTS} documents", "tokens/s", num_tokens / seconds)

    def typing() -> Measurement:
        typed = tokens_of(model, texts_of(model, 1, NUM_TYPED)[0])
        seconds = seconds_of(lambda: type_tokens(model, typed))
        return Measurement(
            "a token typed, the next five predicted", "ms", 1e3 * seconds / len(typed)
        )

    return [*map(writing, ROWS), scoring, typing]


def seconds_of(call: Callable[[], object]) -> float:
    """Return the median time of several calls after a first one; that of the first alone, if it took long."""
    first = _seconds(call)
    times: list[float] = []
    while first < MAX_SECONDS and len(times) < MAX_RUNS and sum(times) < MAX_SECONDS:
        times.append(_seconds(call))
    return median(times or [first])


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def write_in_torch(model: LocalModel, num_rows: int) -> None:
    """Write tokens with the same weights in torch: a step, a softmax, a draw, and again."""
    import torch

    from refrain.models.networks.classifier import Classifier

    network, eos_id = model.checkpoint.model, model.tokenizer.eos_id
    assert not isinstance(network, Classifier)
    with torch.inference_mode():
        state = network.zero_state(num_rows)
        tokens_BT = torch.full((num_rows, 1), eos_id)
        for _ in range(NUM_TORCH_TOKENS):
            features_BTH, state = network.read(tokens_BT, state)
            probs_BV = network.logits(features_BTH[:, -1]).softmax(dim=-1)
            tokens_BT = torch.multinomial(probs_BV, 1)


def tokens_of(model: LocalModel, text: str) -> list[str]:
    """Cut a text where its tokens begin; what lies between two belongs to the first."""
    starts = [start for start, _ in model.tokenizer.encode(text).offsets]
    ends = [*starts[1:], len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True) if end > start]


def type_tokens(model: LocalModel, typed: list[str]) -> None:
    """Type tokens into a session, and have the next ones predicted after each."""
    from refrain.inference.operations.next_token import NextQuery

    session = model.session()
    for token in typed:
        session.append(token)
        session.next(NextQuery(top_k=5))


def texts_of(model: LocalModel, num_texts: int, num_tokens: int) -> list[str]:
    """Have the model write texts to be measured with."""
    from refrain.inference.operations.generation import GenerationParams
    from refrain.models.native.step.sampling import SamplingParams

    params = GenerationParams(SamplingParams(max_tokens=num_tokens, ignore_eos=True))
    found = model.generate_all([""] * num_texts, params, range(num_texts))
    return [generation.choices[0].text for generation in found]


def _row(measurement: Measurement) -> str:
    value = (
        f"{measurement.value:,.0f}"
        if measurement.unit == "tokens/s"
        else f"{measurement.value:.2f}"
    )
    beside = "" if measurement.torch is None else f"{measurement.torch:,.0f}"
    return f"{measurement.name:38}{value:>12}{beside:>14}  {measurement.unit}"
