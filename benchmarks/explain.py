"""Three figures of the explanations in docs/serving.md, each drawn from what the engine really does.

    python -m benchmarks.explain

Batching: which text holds which slot at each step, and what it does there. Integers: the hidden states of the last
layer, and how far log-probabilities in int8 are from float32. Invariance: how far a text's log-likelihood moves when
others share its batch, in the engine and in torch.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.servers.tutorial import TorchModel
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request, Result, Scored, Written
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.models.checkpoint import Checkpoint, load_checkpoint
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from refrain.models.native.step.want import Want
from refrain.models.networks.language_model import LanguageModel
from refrain.training.studies.figure import BLUE, GREEN, INK, ORANGE, panels, save, style

FIGURES = Path("docs/figures")
NUM_SLOTS = 4
ARRIVALS = (
    (0, "《静夜思》\n床前明月光，", 18, BLUE),
    (0, "《春晓》\n", 26, BLUE),
    (4, "《登鹳雀楼》\n白日依山尽，黄河入海流。", 14, BLUE),
    (7, "《江雪》\n千山鸟飞绝，万径人踪灭。\n孤舟蓑笠翁，", 0, GREEN),
    (12, "《相思》\n红豆生南国，", 20, BLUE),
    (18, "《鹿柴》\n空山不见人，但闻人语响。", 0, GREEN),
)
"""Step of arrival, prompt, tokens to write (none: it is only scored), colour."""


def engine_of(checkpoint: Checkpoint, num_slots: int, max_steps: int) -> Engine:
    """Make an engine with so many slots."""
    assert isinstance(checkpoint.model, LanguageModel)
    config = EngineConfig(max_slots=num_slots, max_steps=max_steps, num_threads=1)
    model = Int8LanguageModel(checkpoint.model)
    runner = Int8Runner(model, config, eos_id=checkpoint.tokenizer.eos_id)
    return Engine(runner, config)


def request_of(checkpoint: Checkpoint, text: str, num_written: int) -> Request:
    """Ask for a text to be gone on with, or to be scored."""
    sampling = SamplingParams(
        seed=len(text), max_tokens=num_written, ignore_eos=True, logit_bias=((0, -math.inf),)
    )
    purpose = Purpose.GENERATE if num_written else Purpose.SCORE
    return Request(purpose, checkpoint.tokenizer.encode(text).ids, sampling=sampling)


def draw_batching(checkpoint: Checkpoint) -> None:
    """Record a crowd step by step, and draw who was where."""
    engine = engine_of(checkpoint, NUM_SLOTS, max_steps=1)
    waiting = list(ARRIVALS)
    names: dict[Sequence, int] = {}
    with style():
        figure, (axes,) = panels(1, height=2.6)
        step = 0
        begun: dict[Sequence, tuple[int, int]] = {}
        while waiting or engine.scheduler.num_taken:
            while waiting and waiting[0][0] == step:
                _, text, num_written, _ = waiting.pop(0)
                added = engine.sequence(request_of(checkpoint, text, num_written))
                engine.add([added])
                names[added] = len(names) + 1
            engine.admit()
            running = [(s, s.native.struct.num_read) for s in engine.scheduler.running]
            for sequence, _ in running:
                begun.setdefault(sequence, (step, sequence.slot))
            engine.step()
            for sequence, num_read in running:
                is_score = sequence.native.purpose is Purpose.SCORE
                is_prompt = num_read + 1 < sequence.native.struct.num_given
                colour = GREEN if is_score else (ORANGE if is_prompt else BLUE)
                axes.barh(-sequence.slot, 0.92, left=step, height=0.72, color=colour, linewidth=0)
            step += 1
        for sequence, (at, slot) in begun.items():
            where = (at + 0.15, -slot)
            axes.annotate(f"{names[sequence]}", where, va="center", color="white", size=8)
        axes.set_yticks(
            [-slot for slot in range(NUM_SLOTS)], [f"slot {s + 1}" for s in range(NUM_SLOTS)]
        )
        axes.set(xlabel="step", xlim=(-0.5, step + 0.5))
        axes.grid(visible=False)
        for index, (name, colour) in enumerate(
            (("reads its prompt", ORANGE), ("writes", BLUE), ("is scored", GREEN))
        ):
            axes.annotate(f"■ {name}", (0.28 * index, 1.04), xycoords="axes fraction", color=colour)
        save(figure, FIGURES / "batching.svg")


def written_by(checkpoint: Checkpoint, num_texts: int, num_tokens: int) -> list[str]:
    """Write texts to measure on, by the model itself."""
    engine = engine_of(checkpoint, num_texts, max_steps=64)
    texts = []
    for seed in range(num_texts):
        sampling = SamplingParams(seed=seed, max_tokens=num_tokens, logit_bias=((0, -math.inf),))
        _, written = engine.answer(Request(Purpose.GENERATE, [], sampling=sampling))
        assert isinstance(written, Written)
        texts.append(checkpoint.tokenizer.decode(written.token_ids))
    return texts


def scored(checkpoint: Checkpoint, text: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Score a text in int8: log-probabilities and hidden states of the last layer in [-1, 1]."""
    engine = engine_of(checkpoint, 1, max_steps=64)
    ids = checkpoint.tokenizer.encode(text).ids
    _, found = engine.answer(Request(Purpose.SCORE, ids, want=Want(hidden=True)))
    assert isinstance(found, Scored)
    assert found.hidden is not None
    return np.array(found.logprobs), (found.hidden.astype(np.float32) - 128) / 127


@torch.inference_mode()
def plain_logprobs(checkpoint: Checkpoint, text: str) -> NDArray[Any]:
    """Score a text in float32 by torch."""
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    assert isinstance(model, LanguageModel)
    ids = torch.tensor([[tokenizer.eos_id, *tokenizer.encode(text).ids]])
    features_BTF, _ = model.read(ids[:, :-1], model.zero_state(1))
    log_probs_TV = model.logits(features_BTF[0]).log_softmax(dim=1)
    found: NDArray[Any] = log_probs_TV.gather(1, ids[0, 1:, None])[:, 0].numpy()
    return found


def draw_integers(checkpoint: Checkpoint, texts: list[str]) -> None:
    """Draw the hidden states' distribution, and log-probabilities in int8 against float32."""
    found = [scored(checkpoint, text) for text in texts]
    ours = np.concatenate([logprobs for logprobs, _ in found])
    hidden = np.concatenate([states.ravel() for _, states in found])
    plain = np.concatenate([plain_logprobs(checkpoint, text) for text in texts])
    with style():
        figure, (left, right) = panels(2)
        left.hist(hidden, bins=((np.arange(-127, 129) - 0.5) / 127).tolist(), color=BLUE)
        left.set(title="hidden states of the last layer", yticks=[], xlim=(-1, 1))
        left.set_xlabel("value; one step of an 8-bit number is 1/127")
        right.plot(plain, ours, ".", color=BLUE, markersize=3, alpha=0.5, rasterized=True)
        low = float(min(plain.min(), ours.min()))
        right.plot([low, 0], [low, 0], color=INK, linewidth=0.8)
        perplexities = [math.exp(-float(values.mean())) for values in (plain, ours)]
        right.set(title=f"log-probability of {len(ours):,} characters")
        right.set_xlabel(f"float32 (perplexity {perplexities[0]:.3f})")
        right.set_ylabel(f"int8 (perplexity {perplexities[1]:.3f})")
        save(figure, FIGURES / "int8.svg")


@torch.inference_mode()
def moved_in_torch(model: TorchModel, texts: list[list[int]]) -> list[float]:
    """Return how far the first text's log-likelihood moves in torch, a token a step, as servers that batch do."""
    totals = []
    for count in range(1, len(texts) + 1):
        tokens_BT = torch.tensor(texts[:count])
        states: list[tuple[torch.Tensor, torch.Tensor] | None] = [None, None]
        total = 0.0
        for time in range(tokens_BT.shape[1] - 1):
            hidden = model.embedding(tokens_BT[:, time : time + 1])
            for index, layer in enumerate(model.layers):
                hidden, states[index] = layer(hidden, states[index])
            log_probs_BV = (hidden[:, 0] @ model.weight.T + model.bias).log_softmax(1)
            total += float(log_probs_BV[0, tokens_BT[0, time + 1]])
        totals.append(total)
    return [abs(total - totals[0]) for total in totals]


def moved_in_engine(checkpoint: Checkpoint, texts: list[list[int]]) -> list[float]:
    """Return how far the first text's log-likelihood moves in the engine."""
    totals = []
    for count in range(1, len(texts) + 1):
        engine = engine_of(checkpoint, count, max_steps=64)
        sequences = [engine.sequence(Request(Purpose.SCORE, ids[1:])) for ids in texts[:count]]
        engine.add(sequences)
        engine.admit()
        found: dict[Sequence, Result] = {}
        while len(found) < count:
            found.update(engine.step())
        first = found[sequences[0]]
        assert isinstance(first, Scored)
        totals.append(math.fsum(first.logprobs))
    return [abs(total - totals[0]) for total in totals]


def draw_invariance(checkpoint: Checkpoint, texts: list[str]) -> None:
    """Draw how far a text's log-likelihood moves with the size of its batch."""
    assert isinstance(checkpoint.model, LanguageModel)
    tokenizer = checkpoint.tokenizer
    joined = tokenizer.encode("".join(texts)).ids
    rows = [[tokenizer.eos_id, *joined[40 * i : 40 * i + 40]] for i in range(len(joined) // 40)][
        :48
    ]
    plain = moved_in_torch(TorchModel(checkpoint.model).eval(), rows)
    ours = moved_in_engine(checkpoint, rows)
    sizes = range(1, len(rows) + 1)
    with style():
        figure, (axes,) = panels(1)
        for values, name, colour in (
            (plain, "torch, float32", ORANGE),
            (ours, "engine, int8: none", BLUE),
        ):
            drawn = [value * 1e6 for value in values]
            axes.plot(sizes, drawn, ".", color=colour)
            axes.annotate(
                name,
                (1.01, drawn[-1]),
                xycoords=("axes fraction", "data"),
                color=colour,
                va="center",
            )
        axes.set(xlabel="texts in the batch", ylabel="change of log-likelihood, nats / 1e6")
        axes.set_title("one text of 40 characters, whatever is beside it")
        save(figure, FIGURES / "invariance.svg")
    print(f"moved at most: int8 {max(ours)}, float32 {max(plain):.1e}")


def main() -> None:
    """Draw all three."""
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(Path("checkpoints/tang"))
    texts = written_by(checkpoint, 24, 120)
    draw_batching(checkpoint)
    draw_integers(checkpoint, texts)
    draw_invariance(checkpoint, texts)


if __name__ == "__main__":
    main()
