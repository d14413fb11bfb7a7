"""Tiny checkpoints, a server that serves them, and standard input as a test gives it."""

import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import uvicorn

from app.main import create_app
from app.settings import Settings
from cli.main import main
from models.card import Card, Metric
from models.checkpoint import save_checkpoint
from models.classifier import Classifier
from models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from models.kneser_ney import KneserNeyModel
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer

ENGLISH = "The old cat sat on the mat. The dog didn't sit, and the cat saw it. A lovely day!"
CHINESE = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。"


def card(language: str) -> Card:
    metric = Metric("perplexity", "test", 12.5)
    return Card(
        description="Tiny.", language=language, license="CC0", dataset="none", metrics=(metric,)
    )


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder of language models and classifiers in two languages."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    sizes = {"embedding_size": 12, "hidden_size": 16, "num_layers": 2}
    labels = {"labels": ("bad", "good"), "label_scores": (0.0, 1.0)}
    for language, kind, text in (("en", "words", ENGLISH), ("zh", "characters", CHINESE)):
        tokenizer = Tokenizer.train(kind, [text])
        size = tokenizer.vocab_size
        name = "english" if language == "en" else "tang"
        network = LanguageModel(LanguageModelConfig(vocab_size=size, **sizes))
        save_checkpoint(
            folder / name, network, tokenizer, card(language), readme=f"# {name}\n\nTiny.\n"
        )
        classifier = Classifier(
            ClassifierConfig(vocab_size=size, embedding_size=6, hidden_size=5, **labels)
        )
        save_checkpoint(folder / f"sentiment-{language}", classifier, tokenizer, card(language))
    tokenizer = Tokenizer.train("words", [ENGLISH])
    counts = NGramConfig(vocab_size=tokenizer.vocab_size, order=3)
    model = KneserNeyModel.estimate([tokenizer.encode(ENGLISH).ids], counts)
    save_checkpoint(folder / "counts", model, tokenizer, card("en"))
    return folder


@pytest.fixture(scope="session")
def url(checkpoints) -> Iterator[str]:
    """Where a service over the tiny checkpoints listens."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(Settings(models=checkpoints)), log_level="warning", ws="none")
    )
    started = threading.Event()
    startup = server.startup

    async def tell(sockets) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert started.wait(60)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def give(monkeypatch) -> Callable[[str | bytes], None]:
    """Put something on standard input."""

    def put(text: str | bytes) -> None:
        given = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))

    return put


@pytest.fixture
def refrain(checkpoints, capsys) -> Callable[..., list[str]]:
    """Run a command over the tiny checkpoints, and give the lines that it wrote."""

    def run(*arguments: str, status: int = 0) -> list[str]:
        assert main([*arguments, "--models", str(checkpoints)]) == status
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def asked(refrain) -> Callable[..., list[dict]]:
    """Run a command with --json, and give what it wrote."""

    def run(*arguments: str) -> list[dict]:
        return [json.loads(line) for line in refrain(*arguments, "--json")]

    return run
