"""A corpus of three sentences and a network of a few hundred weights, for runs of a second."""

import resource
from contextlib import contextmanager

import pytest

from training.corpus import TextCorpus
from training.loop import TrainingLoop
from training.recipe import make_recipe

SENTENCES = ["the cat sat on the mat.", "the dog sat on the log.", "a cat saw the dog."]


@pytest.fixture
def small_corpus():
    documents = {"train": SENTENCES * 20, "validation": SENTENCES[:2], "test": SENTENCES[1:]}
    return TextCorpus(documents, unit="documents")


@pytest.fixture
def small_recipe():
    def make(*overrides: str):
        values = {
            "name": "small",
            "dtype": "float32",
            "data": {"dataset": "none"},
            "tokenizer": {"kind": "characters"},
            "model": {"embedding_size": 16, "hidden_size": 16, "num_layers": 2},
            "optimizer": {"learning_rate": 0.01},
            "budget": {"epochs": 3, "batch_size": 8, "window": 10, "snapshot_every": 4},
        }
        values["budget"]["precision"] = "float32"
        return make_recipe(values, overrides)

    return make


@pytest.fixture
def largest_file():
    """A context in which the system refuses longer files, as a full disk would."""

    @contextmanager
    def limited(num_bytes: int):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def killed_at(monkeypatch):
    """A context in which a run dies when it has done so many steps."""

    @contextmanager
    def until(last_step: int):
        def step(self: TrainingLoop, batch: object, step=TrainingLoop._step):
            if self.progress.step == last_step:
                raise KeyboardInterrupt
            return step(self, batch)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(TrainingLoop, "_step", step)
            yield

    return until
