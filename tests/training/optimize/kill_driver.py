"""Trains a small model once in peace and once under ten SIGKILLs; `test_kill.py` compares what is left.

A program of its own: each run is a fork of it, so that torch is imported once, and nothing has run in it before.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from refrain.training.data.corpus import TextCorpus
from refrain.training.recipe.parsing import make_recipe
from refrain.training.run.train import train

NUM_KILLS = 10
WORDS = [f"w{i % 23} x{i % 7} y{i % 11}." for i in range(400)]
CORPUS = TextCorpus({"train": WORDS, "validation": WORDS[:9], "test": WORDS[5:12]}, unit="stream")
RECIPE = make_recipe(
    {
        "name": "killed",
        "dtype": "float32",
        "data": {"dataset": "none"},
        "tokenizer": {"kind": "words"},
        "model": {
            "embedding_size": 32,
            "hidden_size": 32,
            "input_dropout": 0.2,
            "hidden_dropout": 0.2,
            "embedding_dropout": 0.1,
            "weight_dropout": 0.3,
        },
        "optimizer": {
            "averaging": 0.9,
            "num_sampled": 30,
            "activation_penalty": 1.0,
            "change_penalty": 0.5,
        },
        "budget": {
            "epochs": 12,
            "batch_size": 4,
            "window": 12,
            "window_jitter": 2,
            "snapshot_every": 3,
            "precision": "bfloat16",
        },
    }
)


def start(folder: Path) -> int:
    """Begin a run, or go on with it, in a process of its own."""
    process = os.fork()
    if process:
        return process
    train(RECIPE, CORPUS, folder, resume=True)
    os._exit(0)


def is_running(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG) == (0, 0)


def last_snapshot(folder: Path) -> int:
    """When the last snapshot was written; 0 where there is none, or while it is being replaced."""
    try:
        return (folder / "snapshot" / "progress.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def kill_at_random(folder: Path, choice: random.Random) -> None:
    """Begin a run, wait until it has gone on by a snapshot at least, and kill it somewhere after."""
    before = last_snapshot(folder)
    process = start(folder)
    while last_snapshot(folder) == before:
        time.sleep(0.002)
        if not is_running(process):
            sys.exit("the run ended before it was killed ten times")
    time.sleep(choice.random() * 0.1)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status):
        sys.exit("the run ended before it was killed")


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    _, status = os.waitpid(start(folder / "whole"), 0)
    choice = random.Random(8)
    for _ in range(NUM_KILLS):
        kill_at_random(folder / "killed", choice)
    _, last_status = os.waitpid(start(folder / "killed"), 0)
    sys.exit(status or last_status)


main(Path(sys.argv[1]))
