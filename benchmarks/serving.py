"""The service against what people use today, over HTTP, on the shipped `tang` checkpoint.

    python -m benchmarks.serving [--seconds 4]

Each server runs in a process of its own on 127.0.0.1, one after another, on the same cores as the callers. These keep
one connection each and ask again as soon as they have an answer: 64 tokens of a short prompt, at temperature 1. Rounds
of all servers alternate, and a figure is the median of its rounds. LitServe and the tutorial run the same weights with
torch's fp32 `nn.LSTM`; LitServe also ONNX Runtime's LSTM, and a GPT-2 of as many parameters with random weights. Then
prompts of growing length, one caller at a time, and the memory of each server's processes with 64 callers.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.engine import products_and_step
from benchmarks.report import median, save, save_figure, table
from benchmarks.servers.writers import Transformer
from refrain.models.checkpoint import load_checkpoint
from refrain.models.int8 import Int8LanguageModel
from refrain.models.networks.language_model import LanguageModel

ROOT = Path(__file__).parents[1]
LEVELS = (1, 8, 64, 256)
TOKENS = 64
PROMPT = "春眠不觉晓，"
LENGTHS = (8, 64, 256, 1024)
BATCHED = (
    ("torch", "LitServe, batches of 64", "torch"),
    ("onnx", "LitServe, ONNX Runtime's LSTM", "onnxruntime"),
    ("transformer", "LitServe, transformer", "transformers"),
)


@dataclass(frozen=True)
class Server:
    """One way to serve, and the body that asks it for 64 tokens."""

    name: str
    command: tuple[str, ...]
    path: str
    body: dict[str, object]
    stream_body: dict[str, object] | None = None
    levels: tuple[int, ...] = LEVELS


def servers(port: int) -> list[Server]:
    """List the servers that are installed."""
    asked = {
        "prompt": PROMPT,
        "model": "tang",
        "max_tokens": TOKENS,
        "ignore_eos": True,
    }
    limits = ("--max-slots=256", "--max-queue=512", "--prefix-cache-bytes=0", "--log-level=warning")
    refrain = ("-m", "refrain", "serve", "--port", str(port), *limits)
    plain = {"prompt": PROMPT, "max_tokens": TOKENS}
    found = [
        Server("Refrain, int8", refrain, "/generate", asked, {**asked, "stream": True}),
        Server("Refrain, fp32", (*refrain, "--precision", "fp32"), "/generate", asked),
        Server(
            "tutorial",
            ("-m", "benchmarks.servers.tutorial", str(port)),
            "/generate",
            plain,
            levels=(1, 8, 64),
        ),
    ]
    for kind, name, package in BATCHED:
        if importlib.util.find_spec("litserve") and importlib.util.find_spec(package):
            command = ("-m", "benchmarks.servers.litserve_batches", str(port), kind)
            levels = LEVELS[:3] if kind == "transformer" else LEVELS
            found.append(Server(name, command, "/predict", plain, levels=levels))
    return found


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def request_bytes(server: Server, body: dict[str, object], port: int) -> bytes:
    """Write a whole HTTP request."""
    packed = json.dumps(body).encode()
    head = f"POST {server.path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(packed)}\r\n\r\n".encode() + packed


async def answer_of(reader: asyncio.StreamReader, times: list[float] | None = None) -> bytes:
    """Read one response; with `times` note when each part of a stream came."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n", 1)[0], head
    lower = head.lower()
    if b"content-length:" in lower:
        return await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
    parts = []
    while size := int(await reader.readline(), 16):
        part = await reader.readexactly(size + 2)
        if times is not None and b'"text"' in part:
            times.append(time.perf_counter())
        parts.append(part[:-2])
    await reader.readline()
    return b"".join(parts)


async def caller(
    port: int, request: bytes, until: float, seconds: list[float], *, gaps: list[list[float]] | None
) -> None:
    """Ask again and again until the time is over; note how long each answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(request)
        times: list[float] = []
        await answer_of(reader, times if gaps is not None else None)
        seconds.append(time.perf_counter() - start)
        if gaps is not None:
            gaps.append([at - start for at in times])
    writer.close()


async def load(
    server: Server, port: int, num_callers: int, seconds: float, *, streams: bool = False
) -> tuple[list[float], float, list[list[float]]]:
    """Ask as callers do, for some seconds; return the time of each answer, the whole time, and when parts came."""
    body = server.stream_body if streams else server.body
    assert body is not None
    request = request_bytes(server, body, port)
    found: list[float] = []
    gaps: list[list[float]] = []
    start = time.perf_counter()
    await asyncio.gather(
        *(
            caller(port, request, start + seconds, found, gaps=gaps if streams else None)
            for _ in range(num_callers)
        )
    )
    return found, time.perf_counter() - start, gaps


def started(server: Server, port: int) -> subprocess.Popen[bytes]:
    """Start a server and wait until it answers a request."""
    process = subprocess.Popen(
        [sys.executable, *server.command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{server.path}",
        json.dumps(server.body).encode(),
        {"content-type": "application/json"},
    )
    for _ in range(240):
        assert process.poll() is None, f"{server.name} ended"
        try:
            with urllib.request.urlopen(request, timeout=60):
                return process
        except OSError:
            time.sleep(0.25)
    raise SystemExit(f"{server.name} did not start")


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@dataclass
class Figures:
    """What was measured of every server, by its name."""

    speeds: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    streams: dict[int, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    first_tokens: dict[tuple[str, int], float] = field(default_factory=dict)
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)


def measure_levels(server: Server, port: int, seconds: float, figures: Figures) -> None:
    """Measure one server at every level."""
    for level in server.levels:
        found, took, _ = asyncio.run(load(server, port, level, seconds))
        figures.speeds[server.name, level].append(len(found) * TOKENS / took)
        figures.waits[server.name, level] += found
        if server.stream_body:
            *_, gaps = asyncio.run(load(server, port, level, seconds / 2, streams=True))
            figures.streams[level] += gaps


def measure_prompts(server: Server, port: int, figures: Figures) -> None:
    """Measure the time to the first token of prompts of growing length, one caller at a time."""
    for length in LENGTHS:
        prompt = (PROMPT * (length // len(PROMPT) + 1))[:length]
        asked = replace(server, body={**server.body, "prompt": prompt, "max_tokens": 1})
        found, *_ = asyncio.run(load(asked, port, 1, 1.0))
        figures.first_tokens[server.name, length] = percentile(found, 0.5)


def memory_mb(group: int) -> float:
    """Return the memory of all processes of a group, shared pages counted once, in MB."""
    total = 0
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(directory.name)) == group:
                rollup = (directory / "smaps_rollup").read_text()
                total += int(rollup.split("Pss:")[1].split()[0])
        except (OSError, IndexError):
            continue
    return total / 1e3


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = Figures()
    for number in range(options.rounds):
        port = free_port()
        for server in servers(port):
            print(f"round {number + 1}: {server.name}", file=sys.stderr, flush=True)
            process = started(server, port)
            try:
                before = memory_mb(process.pid)
                measure_levels(server, port, options.seconds, figures)
                figures.memory[server.name] = (before, memory_mb(process.pid))
                if number == 0:
                    measure_prompts(server, port, figures)
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)
                time.sleep(1)
    limit = products_limit()
    save("serving", "Serving over HTTP", *report(figures, options.rounds, limit))
    draw(figures, limit)


def products_limit() -> float:
    """Return the tokens a second that the int8 products of 64 rows alone would allow."""
    model = load_checkpoint(ROOT / "checkpoints/tang").model
    assert isinstance(model, LanguageModel)
    network, num_threads = Int8LanguageModel(model), len(os.sched_getaffinity(0))
    return 64 / median([products_and_step(network, 64, num_threads)[0] for _ in range(9)])


def report(figures: Figures, num_rounds: int, limit: float) -> list[str]:
    """Write the tables."""
    ours = next(iter(figures.memory))
    rows = []
    for (name, level), found in figures.speeds.items():
        speed = median(found)
        waits = figures.waits[name, level]
        rows.append(
            [
                name,
                level,
                f"{speed:,.0f}",
                f"{median(figures.speeds[ours, level]) / speed:.1f}",
                *(f"{1e3 * percentile(waits, share):.1f}" for share in (0.5, 0.99)),
            ]
        )
    header = ["server", "callers", "tokens/s", "Refrain int8 / this", "answer p50, ms", "p99"]
    stream_rows = []
    for level, gaps in figures.streams.items():
        first = [times[0] for times in gaps if times]
        between = [b - a for times in gaps for a, b in pairwise(times)]
        stream_rows.append(
            [
                level,
                *(f"{1e3 * percentile(first, share):.1f}" for share in (0.5, 0.99)),
                *(f"{1e3 * percentile(between, share):.2f}" for share in (0.5, 0.99)),
            ]
        )
    stream_header = ["callers", "first piece p50, ms", "p99", "between pieces p50, ms", "p99"]
    prompt_rows = [
        [name, *(f"{1e3 * figures.first_tokens[name, length]:.1f}" for length in LENGTHS)]
        for name in figures.memory
    ]
    memory_rows = [
        [name, f"{before:,.0f}", f"{after:,.0f}"]
        for name, (before, after) in figures.memory.items()
    ]
    return [
        f"{TOKENS} tokens an answer, {num_rounds} rounds, the load generator on the same cores; no prefix cache.",
        f"The int8 matrix products of 64 rows alone would allow {limit:,.0f} tokens/s.",
        table(header, rows),
        "Refrain int8, streamed (a piece is one token, or several where the reader was busy):",
        table(stream_header, stream_rows),
        "Time to the first token of a prompt, one caller, p50 in ms, by the prompt's characters:",
        table(["server", *map(str, LENGTHS)], prompt_rows),
        "Memory of the server's processes in MB, ready and after the last level (Refrain serves four models):",
        table(["server", "ready", "after"], memory_rows),
        memory_of_sequences(),
    ]


def memory_of_sequences() -> str:
    """Return what one text takes while it is served."""
    model = load_checkpoint(ROOT / "checkpoints/tang").model
    assert isinstance(model, LanguageModel)
    slot = Int8LanguageModel(model).layout.num_bytes
    plain = sum(8 * cell.hidden_size for cell in model.stack.layers)
    cache = Transformer.bytes_of_token(model)
    return (
        f"One text takes a slot of {slot:,} bytes here, whatever its length; {plain:,} bytes in torch's or ONNX "
        f"Runtime's LSTM; and {cache:,} bytes for each of its tokens in the transformer."
    )


def draw(figures: Figures, limit: float) -> None:
    """Draw speed by callers, and the time to the first token by the prompt's length."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for name in figures.memory:
        levels = [level for level in LEVELS if (name, level) in figures.speeds]
        speeds = [median(figures.speeds[name, level]) for level in levels]
        times = [1e3 * figures.first_tokens[name, length] for length in LENGTHS]
        style = {"linewidth": 2.4} if name.startswith("Refrain") else {"linewidth": 1.4}
        left.plot(levels, speeds, marker="o", label=name, **style)
        right.plot(LENGTHS, times, marker="o", label=name, **style)
    left.axhline(limit, color="black", linestyle=":", linewidth=1)
    left.annotate("int8 products of 64 rows alone", (1, limit), (0, 4), textcoords="offset points")
    left.set(xscale="log", yscale="log", xlabel="callers", ylabel="tokens a second")
    left.set_xticks(LEVELS, [str(level) for level in LEVELS])
    right.set(
        xscale="log", yscale="log", xlabel="characters of the prompt", ylabel="first token, ms"
    )
    right.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
    for axes in (left, right):
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, alpha=0.25)
    right.legend(frameon=False, fontsize=8)
    figure.suptitle("tang, 64 tokens an answer, two cores shared with the callers", fontsize=10)
    save_figure("serving", figure)


if __name__ == "__main__":
    main()
