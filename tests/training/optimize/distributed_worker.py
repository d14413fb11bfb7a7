"""Runs that one process, or several under torchrun, carry out alike: `distributed_worker.py FOLDER`."""

import os
import signal
import sys
from pathlib import Path

from refrain.training.data.corpus import TextCorpus
from refrain.training.errors import TrainingStoppedError
from refrain.training.optimize.distributed import World, joined_world
from refrain.training.recipe.parsing import make_recipe
from refrain.training.recipe.train_recipe import TrainRecipe
from refrain.training.reporting import listeners
from refrain.training.reporting.listeners import RunListener, StepReport
from refrain.training.run.train import train

SENTENCES = ["the cat sat on the mat.", "the dog sat on the log.", "a cat saw the dog."]
DOCUMENTS = {"train": SENTENCES * 15, "validation": SENTENCES[:2], "test": SENTENCES[1:]}
RUNS = {
    "stream": [
        "budget.window_jitter=2.0",
        "optimizer.activation_penalty=2.0",
        "optimizer.change_penalty=1.0",
        "optimizer.averaging=0.9",
    ],
    "documents": [
        "optimizer.kind=sgd",
        "optimizer.learning_rate=0.5",
        "optimizer.schedule=on_plateau",
    ],
    "stream, taught": ["distillation.teacher={folder}/stream"],
}
"""Runs, each named by how its corpus is read, and what they override."""


def recipe(*overrides: str) -> TrainRecipe:
    values = {
        "name": "tiny",
        "dtype": "float32",
        "tokenizer": {"kind": "characters"},
        "model": {"embedding_size": 16, "hidden_size": 16, "num_layers": 2},
        "optimizer": {"learning_rate": 0.01, "clip_norm": 0.5},
        "budget": {
            "epochs": 2,
            "batch_size": 11,
            "window": 10,
            "snapshot_every": 4,
            "precision": "float32",
        },
    }
    return make_recipe(values, overrides)


def quiet(_: str) -> None:
    """Do nothing."""


class Terminator(RunListener):
    """Sends SIGTERM to another process of the run; that one may take it in this step or in the next."""

    def __init__(self, process_id: int):
        self._process_id = process_id

    def on_step(self, report: StepReport):
        if report.step == 7:
            os.kill(self._process_id, signal.SIGTERM)


def main(folder: Path, world: World) -> None:
    listeners.LOG_EVERY = 1
    for name, overrides in RUNS.items():
        corpus = TextCorpus(DOCUMENTS, unit=name.partition(",")[0])
        settings = recipe(*(override.format(folder=folder) for override in overrides))
        train(settings, corpus, folder / name, log=quiet, world=world)
    dropped = recipe("model.output_dropout=0.3", "model.weight_dropout=0.2")
    corpus = TextCorpus(DOCUMENTS, unit="stream")
    train(dropped, corpus, folder / "whole", log=quiet, world=world)
    is_last = world.rank == world.size - 1
    (last_id,) = world.total(os.getpid() if is_last else 0)
    stop = [Terminator(int(last_id))]
    try:
        train(dropped, corpus, folder / "cut", log=quiet, listeners=stop, world=world)
    except TrainingStoppedError:
        (folder / f"stopped-{world.rank}").touch()
    train(dropped, corpus, folder / "cut", log=quiet, resume=True, world=world)


if __name__ == "__main__":
    with joined_world("cpu") as joined:
        main(Path(sys.argv[1]), joined)
