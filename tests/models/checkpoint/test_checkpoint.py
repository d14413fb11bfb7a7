"""Saved equals loaded, and every fault is named with its file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from refrain.models.card import Card, Metric
from refrain.models.checkpoint import (
    find_checkpoints,
    load_checkpoint,
    save_card,
    save_checkpoint,
)
from refrain.models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from refrain.models.errors import CheckpointError
from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.neural_cache import NeuralCacheConfig
from refrain.models.ngram.kneser_ney import KneserNeyModel
from refrain.models.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train("characters", ["春眠不觉晓，处处闻啼鸟。"])
CARD = Card(
    description="A tiny model.",
    language="zh",
    license="public domain",
    dataset="none",
    metrics=(Metric("perplexity", "test", 3.5),),
)


def language_model() -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=TOKENIZER.vocab_size, embedding_size=6, hidden_size=8, num_layers=2
    )
    return LanguageModel(config).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    directory = tmp_path / "tiny"
    save_checkpoint(directory, language_model(), TOKENIZER, CARD, readme="# tiny\n")
    return directory


def test_saved_equals_loaded(saved) -> None:
    checkpoint = load_checkpoint(saved)
    assert (checkpoint.name, checkpoint.task, checkpoint.card) == ("tiny", "language_model", CARD)
    assert checkpoint.tokenizer.encode("春鸟").ids == TOKENIZER.encode("春鸟").ids
    tokens = torch.tensor([[1, 4, 5]])
    model = language_model()
    assert torch.equal(
        checkpoint.model(tokens, model.zero_state(1))[0], model(tokens, model.zero_state(1))[0]
    )


def test_a_neural_cache_is_written_under_its_present_names_and_read_under_former_ones(
    saved,
) -> None:
    fitted = NeuralCacheConfig(weight=0.1, inverse_temperature=0.2, switch_rate=0.01)
    save_card(saved, replace(load_checkpoint(saved), neural_cache=fitted), readme="")
    assert load_checkpoint(saved).neural_cache == fitted
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert set(config["neural_cache"]) == {"weight", "inverse_temperature", "window", "switch_rate"}
    config["neural_cache"] = {"weight": 0.1, "flatness": 0.2, "window": 2_000, "doubt": 0.01}
    (saved / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_checkpoint(saved).neural_cache == fitted


def test_half_precision_on_disk_is_read_back_as_float32(tmp_path) -> None:
    save_checkpoint(tmp_path / "half", language_model(), TOKENIZER, CARD, dtype=torch.bfloat16)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    loaded = load_checkpoint(tmp_path / "half").model
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}


def test_classifiers_and_ngrams_are_checkpoints_too(tmp_path) -> None:
    size = TOKENIZER.vocab_size
    classifier = Classifier(
        ClassifierConfig(
            vocab_size=size,
            labels=("no", "yes"),
            label_scores=(0, 1),
            embedding_size=4,
            hidden_size=4,
        )
    ).eval()
    ngram = KneserNeyModel.estimate(
        [TOKENIZER.encode("春眠不觉晓").ids], NGramConfig(vocab_size=size, order=3)
    )
    save_checkpoint(tmp_path / "judge", classifier, TOKENIZER, CARD)
    save_checkpoint(tmp_path / "counts", ngram, TOKENIZER, CARD)
    assert [path.name for path in find_checkpoints(tmp_path)] == ["counts", "judge"]
    tokens, lengths = torch.tensor([[1, 3, 4]]), torch.tensor([3])
    loaded = load_checkpoint(tmp_path / "judge").model
    assert torch.equal(loaded(tokens, lengths), classifier(tokens, lengths))
    text = torch.tensor([1, 2, 3, 4, 1]).numpy()
    again = load_checkpoint(tmp_path / "counts").model
    assert (again.target_log_probs(text) == ngram.target_log_probs(text)).all()


def change_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def drop_config_key(directory: Path, key: str) -> None:
    path = directory / "config.json"
    values = json.loads(path.read_text())
    del values[key]
    path.write_text(json.dumps(values))


def truncate(directory: Path, name: str) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_tensor(directory: Path, name: str, value: torch.Tensor | None) -> None:
    path = directory / "model.safetensors"
    tensors = load_file(path)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, path)


FAULTS = {
    "no config": (lambda d: (d / "config.json").unlink(), "config.json: is missing"),
    "no tokenizer": (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "model.safetensors: is missing"),
    "half a config": (lambda d: truncate(d, "config.json"), "config.json: is not JSON"),
    "half a tokenizer": (lambda d: truncate(d, "tokenizer.json"), "tokenizer.json: not a token"),
    "half the weights": (lambda d: truncate(d, "model.safetensors"), "is it truncated"),
    "another version": (lambda d: change_config(d, format_version=99), "format_version 99"),
    "no model": (lambda d: drop_config_key(d, "model"), "config.json: has no 'model'"),
    "no card": (lambda d: drop_config_key(d, "card"), "config.json: has no 'card'"),
    "a list for a model": (lambda d: change_config(d, model=[1]), "config.json: "),
    "another tokenizer": (
        lambda d: (d / "tokenizer.json").write_text(
            Tokenizer.train("characters", ["ab"]).to_json()
        ),
        "belong to different models",
    ),
    "a wrong shape": (
        lambda d: change_tensor(d, "output_bias", torch.zeros(3)),
        r"tensor output_bias has shape \(3,\)",
    ),
    "a tensor too many": (lambda d: change_tensor(d, "extra", torch.zeros(1)), "tensor extra"),
    "a tensor too few": (lambda d: change_tensor(d, "output_bias", None), "shape None"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_checkpoint_is_refused_with_the_file_and_the_fault(saved, name) -> None:
    break_it, message = FAULTS[name]
    break_it(saved)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(saved)
    assert str(saved) in str(caught.value)


def test_no_file_of_a_checkpoint_is_a_pickle(saved) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
