"""The time to the next word's candidates: over HTTP with a session or a state, and in process.

    python -m benchmarks.latency

One caller on one connection, `english`, a word typed and the five likeliest next ones asked for, again and again.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import save, table
from benchmarks.serving import free_port, percentile
from refrain.inference.local import LocalModel
from refrain.inference.operations.next_token import NextQuery

ROOT = Path(__file__).parents[1]
WORDS = ("the", "ship", "was", "built", "in", "and", "sank", "near", "a", "small", "town", "of")
REPEATS = 600


class Caller:
    """One connection to a service."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def post(self, path: str, **body: object) -> dict[str, object]:
        """Ask and wait."""
        self._connection.request("POST", path, json.dumps(body))
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return dict(answer)


def timed(ask: object, repeats: int = REPEATS) -> list[float]:
    """Call again and again; milliseconds of each call after the first fifty."""
    assert callable(ask)
    found = []
    for number in range(repeats + 50):
        start = time.perf_counter()
        ask(number)
        found.append(1e3 * (time.perf_counter() - start))
    return found[50:]


def over_http(port: int) -> list[tuple[str, list[float]]]:
    """Time the ways to ask a service."""
    caller = Caller(port)
    session = caller.post("/sessions", model="english", text="The story of")["session"]
    state = caller.post("/next", model="english", prefix="The story of", return_state=True)
    token = state["results"][0]["state"]  # type: ignore[index]
    caller.post("/sessions", model="english")

    def typed(number: int) -> None:
        caller.post(f"/sessions/{session}/append", text=f" {WORDS[number % len(WORDS)]}")

    def asked(_: int) -> None:
        caller.post(f"/sessions/{session}/next", top_k=5)

    def from_state(number: int) -> None:
        caller.post("/next", prefix=f" {WORDS[number % len(WORDS)]}", state=token, top_k=5)

    def live(_: int) -> None:
        caller._connection.request("GET", "/health/live")
        caller._connection.getresponse().read()

    return [
        ("HTTP, session: append a word", timed(typed)),
        ("HTTP, session: next", timed(asked)),
        ("HTTP, state: a word and next", timed(from_state)),
        ("HTTP, a route that does nothing", timed(live)),
    ]


def in_process() -> list[tuple[str, list[float]]]:
    """Time the in-process model."""
    model = LocalModel("checkpoints/english")
    session = model.session("The story of")
    candidates = ["the", "a", "his", "her", "this"]
    likeliest, given = NextQuery(top_k=5), NextQuery(candidates=candidates)
    compared = NextQuery(candidates=candidates, normalize="candidates")

    def typed(number: int) -> None:
        session.append(f" {WORDS[number % len(WORDS)]}")
        session.next(likeliest)

    return [
        ("in process: append a word and next", timed(typed)),
        ("in process: next", timed(lambda _: session.next(likeliest))),
        ("in process: five candidates", timed(lambda _: session.next(given))),
        ("in process: five candidates among themselves", timed(lambda _: session.next(compared))),
    ]


PARTS = """
import time
start = time.perf_counter()
import torch
after_torch = time.perf_counter()
import refrain.app.main
after_imports = time.perf_counter()
from pathlib import Path
from refrain.models.checkpoint import find_checkpoints, load_checkpoint
from refrain.inference.engine.config import EngineConfig
from refrain.app.services.registry import load
checkpoints = [load_checkpoint(path) for path in find_checkpoints(Path("checkpoints"))]
after_reading = time.perf_counter()
loaded = [load(each, EngineConfig()) for each in checkpoints]
after_making = time.perf_counter()
print(after_torch - start, after_imports - after_torch, after_reading - after_imports, after_making - after_reading)
"""


def parts_of_a_start() -> str:
    """Return where the time of a start goes, measured in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PARTS], cwd=ROOT, capture_output=True, check=True)
    torch_s, imports_s, reading_s, making_s = map(float, done.stdout.split())
    return (
        f"Of a start, importing torch takes {torch_s:.1f} s, the other imports {imports_s:.1f} s, reading checkpoints "
        f"{reading_s:.1f} s, making their int8 forms and indexes {making_s:.1f} s; the rest is the interpreter, the "
        "routes and the first answer."
    )


def main() -> None:
    """Measure and save."""
    port = free_port()
    command = [sys.executable, "-m", "refrain", "serve", "--port", str(port)]
    start = time.perf_counter()
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                Caller(port).post("/generate", prompt="春", max_tokens=1)
                break
            except (OSError, http.client.HTTPException):
                assert time.perf_counter() - start < 60
                time.sleep(0.02)
        cold = time.perf_counter() - start
        found = over_http(port)
    finally:
        server.terminate()
        server.wait(30)
    found += in_process()
    rows = [
        [name, *(f"{percentile(each, share):.3f}" for share in (0.5, 0.9, 0.99))]
        for name, each in found
    ]
    save(
        "latency",
        "The time to the next word",
        f"A cold start with all shipped checkpoints, from the command to the first token over HTTP: {cold:.1f} s.",
        parts_of_a_start(),
        table(["", "p50, ms", "p90, ms", "p99, ms"], rows),
    )


if __name__ == "__main__":
    main()
