"""`refrain serve`: a port that is taken, and a service that is asked to stop."""

import socket
import threading

import httpx
import pytest
import uvicorn

from refrain.app.main import create_app
from refrain.app.settings import Settings
from refrain.cli.commands import serve
from refrain.cli.main import main
from refrain.models.card import Card
from refrain.models.checkpoint import save_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.tokenizer import Tokenizer
from tests.support.service import startup_of


@pytest.fixture
def models(tmp_path):
    tokenizer = Tokenizer.train("characters", ["abc"])
    config = LanguageModelConfig(vocab_size=5, embedding_size=4, hidden_size=4)
    card = Card(description="", language="en", license="", dataset="none")
    save_checkpoint(tmp_path / "tiny", LanguageModel(config), tokenizer, card)
    (tmp_path / "half" / "snapshot").mkdir(parents=True)
    return tmp_path


def test_a_taken_port_is_reported_in_one_line(models, capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert main(["serve", "--models", str(models), "--port", port]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_an_unfinished_run_is_skipped_aloud(models, caplog) -> None:
    create_app(Settings(models=models))
    assert "half, an unfinished run" in caplog.text


def test_what_is_open_when_it_stops_ends_with_an_error_of_the_usual_shape(
    models, monkeypatch
) -> None:
    monkeypatch.setattr(serve, "STOP_SECONDS", 0.2)
    app = create_app(Settings(models=models, max_tokens=10**9))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10)
    server = serve.DrainingServer(config, app.state.registry.stop)
    started, is_running = startup_of(server), threading.Event()
    metrics = app.state.registry.models["tiny"].driver.metrics
    count_seconds = metrics.queue_seconds.count

    def count(seconds) -> None:
        count_seconds(seconds)
        is_running.set()

    monkeypatch.setattr(metrics.queue_seconds, "count", count)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    endless = {"prompt": "a", "max_tokens": 10**8, "ignore_eos": True}
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{base}/generate", json=endless, timeout=30))

    with httpx.Client(base_url=base, timeout=30) as client:
        assert started.wait(60)
        asking = threading.Thread(target=ask)
        asking.start()
        assert is_running.wait(30)
        with client.stream("POST", "/generate", json={**endless, "stream": True}) as response:
            lines = (line for line in response.iter_lines() if line)
            next(lines)
            server.should_exit = True
            *_, last = lines
    asking.join(30)
    thread.join(30)
    assert not thread.is_alive()
    assert '"code": "stopping"' in last
    assert answers[0].status_code == 503
    assert answers[0].json()["error"]["code"] == "stopping"
