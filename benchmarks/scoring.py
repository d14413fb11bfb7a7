"""Scoring 64 documents of 512 tokens: the engine against torch's fp32 `nn.LSTM`, full softmax, one padded batch.

python -m benchmarks.scoring
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.report import median, save, table
from benchmarks.servers.tutorial import TorchModel
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.engine.request import Request, Scored
from refrain.inference.engine.sequence import Sequence
from refrain.inference.runners.int8_runner import Int8Runner
from refrain.models.checkpoint import load_checkpoint
from refrain.models.int8 import Int8LanguageModel
from refrain.models.native.step.structures import Purpose
from refrain.models.networks.language_model import LanguageModel

DOCUMENTS, LENGTH = 64, 512
REPEATS = 5


def score_all(engine: Engine, documents: list[list[int]]) -> list[Scored]:
    """Score documents to the end."""
    sequences = [engine.sequence(Request(Purpose.SCORE, ids)) for ids in documents]
    engine.add(sequences)
    found: dict[Sequence, Scored] = {}
    while engine.scheduler.num_taken:
        engine.admit()
        for sequence, result in engine.step():
            assert isinstance(result, Scored)
            found[sequence] = result
    return [found[sequence] for sequence in sequences]


@torch.inference_mode()
def torch_scores(model: TorchModel, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities of a padded batch as one would write it: all logits, then `log_softmax`."""
    hidden = model.embedding(tokens_BT[:, :-1])
    for layer in model.layers:
        hidden, _ = layer(hidden)
    logits = nn.functional.linear(hidden, model.weight, model.bias)
    return logits.log_softmax(2).gather(2, tokens_BT[:, 1:, None])[:, :, 0]


def main() -> None:
    """Measure and save."""
    num_threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(num_threads)
    model = load_checkpoint(Path("checkpoints/tang")).model
    assert isinstance(model, LanguageModel)
    plain = TorchModel(model)
    network = Int8LanguageModel(model)
    config = EngineConfig(max_slots=DOCUMENTS, num_threads=num_threads)
    engine = Engine(Int8Runner(network, config, eos_id=1), config)
    torch.manual_seed(0)
    tokens_BT = torch.randint(2, model.vocab_size, (DOCUMENTS, LENGTH + 1))
    tokens_BT[:, 0] = 1
    documents = tokens_BT[:, 1:].tolist()
    ours, theirs = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        scored = score_all(engine, documents)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        expected = torch_scores(plain, tokens_BT)
        theirs.append(time.perf_counter() - start)
    found = torch.tensor([[*each.logprobs] for each in scored])
    difference = (found.mean() / expected.mean() - 1).abs().item()
    num_tokens = DOCUMENTS * LENGTH
    rows = [
        ["Refrain, int8", f"{median(ours):.3f}", f"{num_tokens / median(ours):,.0f}"],
        [
            "torch fp32, one padded batch",
            f"{median(theirs):.3f}",
            f"{num_tokens / median(theirs):,.0f}",
        ],
    ]
    save(
        "scoring",
        "Scoring documents",
        f"{DOCUMENTS} documents of {LENGTH} tokens, `tang`, {num_threads} threads, medians of {REPEATS}; "
        f"ratio {median(theirs) / median(ours):.1f}; mean log-probabilities differ by {difference:.2%}.",
        table(["", "seconds", "tokens/s"], rows),
    )


if __name__ == "__main__":
    main()
