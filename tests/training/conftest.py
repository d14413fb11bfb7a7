"""A corpus of three sentences and a network of a few hundred weights, for runs of a second."""

import resource
from contextlib import contextmanager

import pytest

from refrain.training.data.corpus import TextCorpus
from refrain.training.recipe.parsing import make_recipe
from refrain.training.reporting.listeners import RunListener, StepReport

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


class Killer(RunListener):
    """Ends a run in the step after so many, as a kill would: of that step nothing is kept."""

    def __init__(self, num_steps: int):
        self._num_steps = num_steps

    def on_step(self, report: StepReport):
        if report.step > self._num_steps:
            raise KeyboardInterrupt


@pytest.fixture
def killed_after():
    """A context with a listener, by which a run dies when it has done so many steps."""

    @contextmanager
    def dying(num_steps: int):
        with pytest.raises(KeyboardInterrupt):
            yield Killer(num_steps)

    return dying
