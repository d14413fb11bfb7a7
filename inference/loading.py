"""A checkpoint's language model with the engine that serves it."""

from __future__ import annotations

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from refrain.inference.errors import WrongTaskError
from refrain.inference.operations.text_model import TextModel
from refrain.inference.runners.precision import Precision, make_runner, version_of
from refrain.models.checkpoint import Checkpoint
from refrain.models.networks.classifier import Classifier
from refrain.models.text.word_index import WordIndex


def load_engine(
    checkpoint: Checkpoint, config: EngineConfig, precision: Precision = "auto"
) -> tuple[TextModel, Engine]:
    """Prepare a language model to be asked, and its engine, which no driver serves yet.

    Raises
    ------
    WrongTaskError
        If the checkpoint holds a classifier.
    PrecisionError
        If the model has no form of that precision.
    """
    if isinstance(checkpoint.model, Classifier):
        raise WrongTaskError(f"{checkpoint.name} is a classifier, no language model")
    eos_id = checkpoint.tokenizer.eos_id
    chosen, runner = make_runner(checkpoint.model, precision, config, eos_id=eos_id)
    version = version_of(checkpoint, chosen, runner.shape)
    words = WordIndex.of(checkpoint.tokenizer)
    return TextModel(checkpoint, runner.shape, chosen, version, words), Engine(runner, config)
