"""Which form of a model runs, and what its states belong to."""

import dataclasses

import pytest
import torch

from refrain.inference.runners.int8_runner import Int8Runner
from refrain.inference.runners.precision import make_runner, version_of
from refrain.inference.runners.torch_runner import TorchRunner
from refrain.models.card import Card
from refrain.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.errors import PrecisionError
from refrain.models.native.step.library import best_variant
from refrain.models.native.step.shape import ModelShape
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.tokenizer import Tokenizer
from tests.support.engines import CONFIG, counted, recurrent

CARD = Card(description="", language="en", license="MIT", dataset="none")
TOKENIZER = Tokenizer.train("words", ["the cat sat on the mat"])
OTHER_TOKENIZER = Tokenizer.train("words", ["the dog sat on the mat"])


def forms(model, precision) -> tuple[str, type]:
    chosen, runner = make_runner(model, precision, CONFIG, eos_id=1)
    return chosen, type(runner)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_a_model_with_bounded_states_runs_in_integers_where_the_processor_is_good_at_them(
    cell,
) -> None:
    expected = ("int8", Int8Runner) if best_variant() != "portable" else ("fp32", TorchRunner)
    assert forms(recurrent(cell), "auto") == expected
    assert forms(recurrent(cell), "int8") == ("int8", Int8Runner)


@pytest.mark.parametrize("cell", ["jordan", "mogrifier"])
def test_a_model_without_an_integer_form_runs_in_float32_and_is_refused_in_integers(cell) -> None:
    model = recurrent(cell, num_layers=1)
    assert forms(model, "auto") == ("fp32", TorchRunner)
    with pytest.raises(PrecisionError):
        make_runner(model, "int8", CONFIG, eos_id=1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_is_named_is_what_runs(precision) -> None:
    assert forms(recurrent(), precision) == (precision, TorchRunner)


@pytest.mark.parametrize("precision", ["auto", "int8", "bf16", "fp32"])
def test_counts_are_counts_in_every_precision(precision) -> None:
    assert forms(counted(), precision) == ("fp32", TorchRunner)


def network(seed: int = 0, cell: str = "gru", **sizes) -> LanguageModel:
    torch.manual_seed(seed)
    sizes = {"embedding_size": 6, "hidden_size": 8, "num_layers": 1, **sizes}
    config = LanguageModelConfig(vocab_size=TOKENIZER.vocab_size, cell=cell, **sizes)
    return LanguageModel(config).eval()


def checkpoint(model=None, tokenizer: Tokenizer = TOKENIZER, name: str = "tiny") -> Checkpoint:
    return Checkpoint(name, model or network(), tokenizer, CARD)


SHAPE = ModelShape(TOKENIZER.vocab_size, eos_id=1, hidden_size=64, state_bytes=40)


def version(
    held: Checkpoint | None = None, precision: str = "int8", shape: ModelShape = SHAPE
) -> bytes:
    return version_of(held or checkpoint(), precision, shape)


def test_a_version_is_the_same_wherever_the_same_model_is_served(tmp_path) -> None:
    save_checkpoint(tmp_path / "other-name", network(), TOKENIZER, CARD)
    assert len(version()) == 16
    assert version(load_checkpoint(tmp_path / "other-name")) == version()


def test_a_version_changes_with_every_single_weight() -> None:
    model = network()
    versions = {version(checkpoint(model))}
    parameters = list(model.parameters())
    for parameter in parameters:
        value = parameter.data.view(-1)[-1:]
        value.copy_(torch.nextafter(value, value + 1))
        versions.add(version(checkpoint(model)))
    assert len(versions) == 1 + len(parameters)


def test_a_version_changes_with_the_precision() -> None:
    assert len({version(precision=each) for each in ("int8", "bf16", "fp32")}) == 3


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ModelShape)])
def test_a_version_changes_with_the_layout_of_a_slot(field) -> None:
    other = dataclasses.replace(SHAPE, **{field: getattr(SHAPE, field) + 1})
    assert version(shape=other) != version()


def test_a_version_changes_with_the_tokenizer_under_the_same_weights() -> None:
    assert OTHER_TOKENIZER.vocab_size == TOKENIZER.vocab_size
    assert version(checkpoint(tokenizer=OTHER_TOKENIZER)) != version()


def test_a_version_changes_with_the_integer_form_alone_in_integers(monkeypatch) -> None:
    before = {precision: version(precision=precision) for precision in ("int8", "fp32", "bf16")}
    monkeypatch.setattr("refrain.inference.runners.precision.INT8_FORM", 99)
    changed = {name for name, old in before.items() if version(precision=name) != old}
    assert changed == {"int8"}


def test_counts_have_a_version_too() -> None:
    model = counted()
    shape = make_runner(model, "fp32", CONFIG, eos_id=1)[1].shape
    first = version(checkpoint(model), "fp32", shape)
    model.tensors()  # to ask for them changes nothing
    assert version(checkpoint(model), "fp32", shape) == first
    assert first != version(checkpoint(), "fp32", shape)


def test_a_precision_that_is_none_is_refused() -> None:
    with pytest.raises(PrecisionError, match="not 'int4'"):
        make_runner(recurrent(), "int4", CONFIG, eos_id=1)
