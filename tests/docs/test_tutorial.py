"""The ten minutes of docs/tutorial.md, as a reader would spend them, on a free port and in a folder of their own."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("docs", "checkpoints", "recipes")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A folder with what the tutorial reads, so that it writes nothing into the project."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


class Terminal:
    """Runs the tutorial's lines; `refrain serve` goes on beside them, as in a terminal of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._address = f"http://127.0.0.1:{port}"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._env = {**os.environ, "PATH": path, "REFRAIN_PORT": str(port), "PYTHONPATH": str(ROOT)}
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, line: str) -> str:
        line = line.replace("http://127.0.0.1:8000", self._address)
        if line == "refrain serve":
            self.serve()
            return ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line.replace("curl -s", "curl -sf")],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def serve(self) -> None:
        self.stop()
        self._server = subprocess.Popen(["refrain", "serve"], cwd=self._folder, env=self._env)
        # Tries to connect again, ever more patiently, for two minutes in all.
        with httpx.Client(transport=httpx.HTTPTransport(retries=9)) as client:
            assert client.get(f"{self._address}/health/ready", timeout=60).status_code == 200

    def stop(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait(30)


def lines_of(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_every_line_of_the_tutorial_does_what_it_says(checkout, port) -> None:
    lines = lines_of(checkout / "docs/tutorial.md")
    assert lines[:2] == ["make setup", "source .venv/bin/activate"]
    terminal = Terminal(checkout, port)
    answers = {}
    try:
        for line in lines[2:]:
            answers[line] = terminal.run(line)
    finally:
        terminal.stop()
    reported = [json.loads(text) for line, text in answers.items() if line.startswith("curl")]
    poem, scores, following, written, shown = reported
    assert poem["model"] == "tang"
    likely, unlikely = (result["perplexity"] for result in scores["results"])
    assert likely < unlikely
    assert len(following["results"][0]["predictions"]) == 3
    assert written["choices"][0]["text"]
    assert shown["training_data"]
    measured = next(text for line, text in answers.items() if "evaluate" in line)
    assert "perplexity" in measured
