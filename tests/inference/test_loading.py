"""A checkpoint becomes a model that can be asked and an engine that nobody drives yet."""

import pytest

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request
from refrain.inference.errors import WrongTaskError
from refrain.inference.loading import load_engine
from refrain.models.checkpoint import Checkpoint, load_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.errors import PrecisionError
from refrain.models.native.step.structures import Purpose
from refrain.models.networks.language_model import LanguageModel
from tests.support.reference import log_probs_after

CONFIG = EngineConfig(max_slots=3)


@pytest.mark.parametrize("precision", ["int8", "fp32", "bf16"])
def test_the_engine_runs_the_checkpoint_in_the_precision_that_is_asked_for(
    checkpoints, precision
) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    model, engine = load_engine(checkpoint, CONFIG, precision)
    assert (model.name, model.precision) == ("english", precision)
    assert model.tokenizer is checkpoint.tokenizer
    assert engine.num_slots == 3
    assert model.shape == engine.shape
    assert model.shape.vocab_size == checkpoint.tokenizer.vocab_size
    assert model.shape.eos_id == checkpoint.tokenizer.eos_id
    ids = checkpoint.tokenizer.encode("The old cat").ids
    _, found = engine.answer(Request(Purpose.PREDICT, ids))
    exactness = {"int8": 0.05, "fp32": 1e-4, "bf16": 0.05}[precision]
    expected = log_probs_after(checkpoint, ids).numpy()
    assert found.log_probs == pytest.approx(expected, abs=exactness)


def test_only_recurrent_models_in_int8_report_hidden_states(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    assert load_engine(checkpoint, CONFIG, "int8")[0].shape.hidden_size
    assert not load_engine(checkpoint, CONFIG, "fp32")[0].shape.hidden_size
    assert not load_engine(load_checkpoint(checkpoints / "counts"), CONFIG)[0].shape.hidden_size


def test_a_version_is_that_of_the_weights_and_of_their_precision(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    again = load_checkpoint(checkpoints / "english")
    precisions = ("int8", "fp32", "bf16")
    versions = {load_engine(checkpoint, CONFIG, each)[0].version for each in precisions}
    assert len(versions) == 3
    assert load_engine(again, CONFIG, "fp32")[0].version in versions
    again.model.output_bias.data[3] += 1e-3
    assert load_engine(again, CONFIG, "fp32")[0].version not in versions


def test_words_are_found_by_their_letters(checkpoints) -> None:
    model, _ = load_engine(load_checkpoint(checkpoints / "english"), CONFIG)
    found = {model.tokenizer.surface(token_id) for token_id in model.words.starting_with("s")}
    assert found == {" sat", " saw", " sit"}


def test_a_model_of_counts_is_computed_in_float32_whatever_is_asked_for(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "counts")
    for precision in ("auto", "int8", "bf16"):
        assert load_engine(checkpoint, CONFIG, precision)[0].precision == "fp32"


def test_a_classifier_is_refused(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "sentiment-en")
    with pytest.raises(WrongTaskError, match="sentiment-en is a classifier") as refused:
        load_engine(checkpoint, CONFIG)
    assert refused.value.param == "model"


def test_a_model_without_such_a_form_is_refused(checkpoints) -> None:
    checkpoint = load_checkpoint(checkpoints / "english")
    size = checkpoint.tokenizer.vocab_size
    config = LanguageModelConfig(vocab_size=size, cell="jordan", embedding_size=4, hidden_size=4)
    jordan = Checkpoint(
        "jordan", LanguageModel(config).eval(), checkpoint.tokenizer, checkpoint.card
    )
    with pytest.raises(PrecisionError, match="int8"):
        load_engine(jordan, CONFIG, "int8")
    assert load_engine(jordan, CONFIG)[0].precision == "fp32"
