"""Tiny checkpoints with random weights, and a service that serves them."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import uvicorn

from app.main import create_app
from app.services.registry import Registry
from app.settings import Settings
from models.card import Card
from models.checkpoint import save_checkpoint
from models.classifier import Classifier
from models.config import ClassifierConfig, LanguageModelConfig, NGramConfig
from models.kneser_ney import KneserNeyModel
from models.language_model import LanguageModel
from models.tokenizer import Tokenizer

ENGLISH = "The old cat sat on the mat. The dog didn't sit, and the cat saw it. A lovely day!"
CHINESE = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。"


def card(language: str) -> Card:
    return Card(description="Tiny.", language=language, license="public domain", dataset="none")


def save_language_model(directory: Path, kind: str, text: str, language: str) -> None:
    tokenizer = Tokenizer.train(kind, [text])
    config = LanguageModelConfig(
        vocab_size=tokenizer.vocab_size, embedding_size=12, hidden_size=16, num_layers=2
    )
    save_checkpoint(directory, LanguageModel(config), tokenizer, card(language))


def save_classifier(directory: Path, kind: str, text: str, language: str) -> None:
    tokenizer = Tokenizer.train(kind, [text])
    config = ClassifierConfig(
        vocab_size=tokenizer.vocab_size,
        labels=("negative", "neutral", "positive"),
        label_scores=(0.0, 0.5, 1.0),
        embedding_size=6,
        hidden_size=5,
    )
    save_checkpoint(directory, Classifier(config), tokenizer, card(language))


def save_ngram(directory: Path) -> None:
    tokenizer = Tokenizer.train("words", [ENGLISH])
    config = NGramConfig(vocab_size=tokenizer.vocab_size, order=3)
    model = KneserNeyModel.estimate([tokenizer.encode(ENGLISH).ids], config)
    save_checkpoint(directory, model, tokenizer, card("en"))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with one model of each kind."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints")
    save_language_model(folder / "tang", "characters", CHINESE, "zh")
    save_language_model(folder / "english", "words", ENGLISH, "en")
    save_language_model(folder / "bytes", "bpe", ENGLISH + CHINESE, "unknown")
    save_ngram(folder / "counts")
    save_classifier(folder / "sentiment-en", "words", ENGLISH, "en")
    save_classifier(folder / "sentiment-zh", "characters", CHINESE, "zh")
    return folder


Body = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture
def serve(checkpoints) -> Callable[..., None]:
    """Run a coroutine with a client of a service over the tiny checkpoints, then stop the service."""

    def run(body: Body, **settings: object) -> None:
        async def main() -> None:
            app = create_app(Settings(models=checkpoints, **settings))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30)
            async with app.router.lifespan_context(app), client:
                await asyncio.wait_for(body(client), 60)

        asyncio.run(main())

    return run


@dataclass(frozen=True)
class Service:
    """A running service."""

    address: str
    registry: Registry


@pytest.fixture
def address(service) -> str:
    """Where the service with one slot listens."""
    return service.address


@pytest.fixture
def service(checkpoints) -> Iterator[Service]:
    """A service with one slot on a free port."""
    limits = {"max_slots": 1, "max_queue": 4, "max_tokens": 10**9, "max_prompt_tokens": 10**9}
    with serving(Settings(models=checkpoints, max_score_tokens=10**9, **limits)) as service:
        yield service


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """Serve on a free port."""
    app = create_app(settings)
    config = uvicorn.Config(app, log_level="warning", ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()
    server.startup, startup = lambda sockets: wait_for(startup, sockets, started), server.startup
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert started.wait(30)
    yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.registry)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


async def wait_for(startup, sockets, started: threading.Event) -> None:
    await startup(sockets)
    started.set()
