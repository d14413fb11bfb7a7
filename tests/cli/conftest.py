"""Tiny checkpoints, a server that serves them, and standard input as a test gives it."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from refrain.app.settings import Settings
from refrain.cli.main import main
from refrain.models.card import Metric
from refrain.models.checkpoint import save_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.splitter import TokenizerKind
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import CHINESE, ENGLISH, card, save_classifier, save_ngram
from tests.support.service import listening


def save_measured(directory: Path, kind: TokenizerKind, text: str, language: str) -> None:
    """Save a language model whose card has a figure, and whose README has its name."""
    tokenizer = Tokenizer.train(kind, [text])
    config = LanguageModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=12, hidden_size=16, num_layers=2
    )
    metrics = (Metric("perplexity", "test", 12.5),)
    facts = replace(card(language), license="CC0", metrics=metrics)
    readme = f"# {directory.name}\n\nTiny.\n"
    save_checkpoint(directory, LanguageModel(config), tokenizer, facts, readme=readme)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder of language models and classifiers in two languages."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    save_measured(folder / "english", "words", ENGLISH, "en")
    save_measured(folder / "tang", "characters", CHINESE, "zh")
    save_classifier(folder / "sentiment-en", "words", ENGLISH, "en")
    save_classifier(folder / "sentiment-zh", "characters", CHINESE, "zh")
    save_ngram(folder / "counts")
    return folder


@pytest.fixture(scope="session")
def url(checkpoints) -> Iterator[str]:
    """Where a service over the tiny checkpoints listens."""
    with listening(Settings(models=checkpoints)) as service:
        yield service.address


@pytest.fixture
def give(monkeypatch) -> Callable[[str | bytes], None]:
    """Write something to standard input."""

    def put(text: str | bytes) -> None:
        given = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))

    return put


@pytest.fixture
def refrain(checkpoints, capsys) -> Callable[..., list[str]]:
    """Run a command over the tiny checkpoints, and return the lines that it wrote."""

    def run(*arguments: str, status: int = 0) -> list[str]:
        assert main([*arguments, "--models", str(checkpoints)]) == status
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refused(checkpoints, capsys) -> Callable[..., str]:
    """Run a command that cannot be carried out, and return what it reports."""

    def run(*arguments: str) -> str:
        assert main([*arguments, "--models", str(checkpoints)]) == 2
        return capsys.readouterr().err

    return run


@pytest.fixture
def asked(refrain) -> Callable[..., list[dict]]:
    """Run a command with --json, and return what it wrote."""

    def run(*arguments: str) -> list[dict]:
        return [json.loads(line) for line in refrain(*arguments, "--json")]

    return run
