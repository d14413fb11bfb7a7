"""A hub on this machine, and checkpoints of a few hundred weights."""

import importlib.util
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from refrain.models.card import Card, Metric
from refrain.models.checkpoint import load_checkpoint, save_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.publishing.card import rewrite_card

_spec = importlib.util.spec_from_file_location("fake_hub", Path(__file__).with_name("fake_hub.py"))
fake_hub = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_hub)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A running hub that this process talks to, as if the variables had been set before it began."""
    with fake_hub.running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
        yield hub


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint with its card; `licence` and `dataset` are the card's."""

    def make(name="tiny", licence="MIT", dataset="tang") -> Path:
        torch.manual_seed(0)
        tokenizer = Tokenizer.train("characters", ["春眠不觉晓，处处闻啼鸟。"])
        config = LanguageModelConfig(
            vocab_size=tokenizer.vocab_size, embedding_size=4, hidden_size=4
        )
        metrics = (Metric("perplexity", "test", 3.5),)
        card = Card(
            description="", language="zh", license=licence, dataset=dataset, metrics=metrics
        )
        directory = tmp_path / "made" / name
        save_checkpoint(directory, LanguageModel(config), tokenizer, card)
        rewrite_card(directory)
        assert load_checkpoint(directory).card == card
        return directory

    return make


@pytest.fixture
def environment(hub, tmp_path):
    """The variables that make another process talk to the hub."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": fake_hub.TOKEN,
        "HF_HUB_DISABLE_XET": "1",
    }
