"""`refrain train --text` on a text larger than it may keep in memory: peak memory, and the time of each stage.

python -m benchmarks.large_text [--megabytes 1000] [--steps 60] [--folder FOLDER]

The words of the text follow Zipf's law over a million types; its lines are drawn from a pool of 400,000. A second,
short text is trained with a vocabulary of 200,000 words.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.report import median, save, table
from refrain.models.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
NUM_TYPES = 1_000_000
NUM_LINES = 400_000
WORDS_A_LINE = 20
LETTERS = "etaoinshrdlucmfwypvbgkqjxz"
BYTES_A_PARAMETER = 16
"""A weight, its gradient, and the two averages of AdamW, in float32."""


def spelling(rank: int) -> str:
    """Return the word of a rank: the more frequent, the shorter, of three letters or more."""
    letters = ""
    rank += 1 + len(LETTERS) + len(LETTERS) ** 2
    while rank:
        rank, letter = divmod(rank - 1, len(LETTERS))
        letters += LETTERS[letter]
    return letters


def write_text(path: Path, num_bytes: int) -> None:
    """Write lines of words until there are so many bytes; the same ones each time."""
    random = np.random.default_rng(1)
    words = [spelling(rank) for rank in range(NUM_TYPES)]
    shares = np.cumsum(1 / np.arange(1, NUM_TYPES + 1))
    drawn = random.random((NUM_LINES, WORDS_A_LINE)) * shares[-1]
    ranks = np.searchsorted(shares, drawn).tolist()
    lines = [f"{' '.join(map(words.__getitem__, line))}.\n".encode() for line in ranks]
    with path.open("wb") as file:
        while file.tell() < num_bytes:
            order = random.permutation(NUM_LINES).tolist()
            left = num_bytes - file.tell()
            file.write(b"".join(map(lines.__getitem__, order))[:left])


@dataclass
class Usage:
    """What was seen of a run.

    Attributes
    ----------
    peak, peak_file
        Most memory that was resident, in MB, and how much of it was mapped files at that time.
    seconds
        When each stage had ended.
    """

    peak: float = 0.0
    peak_file: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


def train(text: Path, folder: Path, *overrides: str) -> Usage:
    """Run the command and observe its memory and what it writes."""
    output = folder / f"{text.stem}-model"
    command = [sys.executable, "-m", "refrain", "train", "--text", str(text)]
    command += ["--output", str(output), "--overwrite", "--set", *overrides]
    stages = {
        "vocabulary": lambda: any((folder / "tokens").glob("*/words-*-*.json")),
        "tokens": lambda: any((folder / "tokens").glob("*/*.ids")),
        "steps": (output / "best.safetensors").exists,
    }
    usage = Usage()
    start = time.perf_counter()
    environment = {**os.environ, "REFRAIN_DATA": str(folder)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        while process.poll() is None:
            note_memory(process.pid, usage)
            for name, has_ended in stages.items():
                if name not in usage.seconds and has_ended():
                    usage.seconds[name] = time.perf_counter() - start
            time.sleep(0.1)
    usage.seconds["all"] = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return usage


def note_memory(process: int, usage: Usage) -> None:
    """Look at the memory that a process holds now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    if sizes:
        resident = sum(int(size) for size in sizes.values()) / 1e3
        if resident > usage.peak:
            usage.peak, usage.peak_file = resident, int(sizes["RssFile"]) / 1e3


def row(text: Path, folder: Path, usage: Usage) -> list[str]:
    """Return a line of the table."""
    output = folder / f"{text.stem}-model"
    events = [json.loads(line) for line in (output / "run_log.jsonl").read_text().splitlines()]
    speed = median([event["tokens_per_second"] for event in events if event["event"] == "step"])
    headers = [json.loads(path.read_text()) for path in (folder / "tokens").glob("*/*.json")]
    (num_tokens,) = [header["num_tokens"] for header in headers if "num_tokens" in header]
    card = load_checkpoint(output).card
    model = card.training["parameters"] * BYTES_A_PARAMETER / 1e6
    seconds = usage.seconds
    return [
        f"{text.stat().st_size / 1e6:,.0f}",
        f"{num_tokens:,}",
        f"{load_checkpoint(output).config.vocab_size:,}",
        f"{usage.peak:,.0f}",
        f"{usage.peak_file:,.0f}",
        f"{model:,.0f}",
        f"{usage.peak - model:,.0f}",
        f"{seconds['vocabulary']:.0f}",
        f"{seconds['tokens'] - seconds['vocabulary']:.0f}",
        f"{speed:,}",
        f"{seconds['all'] - seconds['steps']:.0f}",
    ]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--folder", type=Path, help="where the text is written and deleted")
    options = parser.parse_args()
    steps = (f"budget.max_windows={options.steps}", "budget.epochs=1")
    many_words = ("tokenizer.vocab_size=200000", "tokenizer.min_count=1")
    runs = {
        "large": (options.megabytes * 1_000_000, steps),
        "many-words": (7_000_000, (*steps, *many_words, "optimizer.num_sampled=8192")),
    }
    rows = []
    for name, (num_bytes, overrides) in runs.items():
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            text = Path(folder) / f"{name}.txt"
            write_text(text, num_bytes)
            usage = train(text, Path(folder), *overrides)
            rows.append(row(text, Path(folder), usage))
            print(rows[-1], flush=True)
    header = ["text, MB", "tokens", "vocabulary", "peak memory, MB", "of it mapped files, MB"]
    header += ["weights, gradients, AdamW, MB", "beyond them, MB"]
    header += ["vocabulary, s", "tokens, s", "training tokens/s", "card, s"]
    description = (
        f"`refrain train --text`, words, {options.steps} steps of 32 lanes by 64 tokens, then validation, and the "
        "card's figures on both ends of the text. 200,000 words are trained with `optimizer.num_sampled=8192`. "
        "The time of the vocabulary has Python's start and a first reading of the file in it."
    )
    save("large_text", "A text larger than memory may be", description, table(header, rows))


if __name__ == "__main__":
    main()
