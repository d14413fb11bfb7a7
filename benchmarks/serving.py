"""The service against what people use today, over HTTP, on the shipped `tang` checkpoint.

    python -m benchmarks.serving [--seconds 4]

Each server runs in a process of its own on 127.0.0.1, one after another, on the same cores as the callers. These keep
one connection each and ask again as soon as they have an answer: 64 tokens of a short prompt, at temperature 1. Rounds
of all servers alternate, and a figure is the median of its rounds. LitServe and the tutorial run the same weights with
torch's fp32 `nn.LSTM`.
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
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.report import median, save, table

ROOT = Path(__file__).parents[1]
LEVELS = (1, 8, 64, 256)
TOKENS = 64
PROMPT = "春眠不觉晓，"
ROUNDS = 3


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
    limits = ("--max-slots", "256", "--max-queue", "512", "--log-level", "warning")
    refrain = ("-m", "cli.main", "serve", "--port", str(port), *limits)
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
    if importlib.util.find_spec("litserve"):
        command = ("-m", "benchmarks.servers.litserve_batches", str(port))
        found.append(Server("LitServe, batches of 64", command, "/predict", plain))
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
    """Let callers ask for some seconds: the time of each answer, the whole time, and when parts came."""
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
    """Give the value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    speeds: dict[tuple[str, int], list[float]] = {}
    waits: dict[tuple[str, int], list[float]] = {}
    streams: dict[int, list[list[float]]] = {}
    names = []
    for _ in range(ROUNDS):
        port = free_port()
        for server in servers(port):
            if server.name not in names:
                names.append(server.name)
            process = started(server, port)
            try:
                for level in server.levels:
                    found, seconds, _ = asyncio.run(load(server, port, level, options.seconds))
                    speeds.setdefault((server.name, level), []).append(
                        len(found) * TOKENS / seconds
                    )
                    waits.setdefault((server.name, level), []).extend(found)
                    if server.stream_body:
                        *_, gaps = asyncio.run(
                            load(server, port, level, options.seconds / 2, streams=True)
                        )
                        streams.setdefault(level, []).extend(gaps)
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)
                time.sleep(1)
    save("serving", "Serving over HTTP", *report(names, speeds, waits, streams))


def report(
    names: list[str],
    speeds: dict[tuple[str, int], list[float]],
    waits: dict[tuple[str, int], list[float]],
    streams: dict[int, list[list[float]]],
) -> list[str]:
    """Write the tables."""
    rows = []
    ours = names[0]
    for name in names:
        for level in LEVELS:
            if (name, level) not in speeds:
                continue
            speed = median(speeds[name, level])
            rows.append(
                [
                    name,
                    level,
                    f"{speed:,.0f}",
                    f"{median(speeds[ours, level]) / speed:.1f}",
                    f"{1e3 * percentile(waits[name, level], 0.5):.1f}",
                    f"{1e3 * percentile(waits[name, level], 0.99):.1f}",
                ]
            )
    header = [
        "server",
        "callers",
        "tokens/s",
        "Refrain int8 / this",
        "answer p50, ms",
        "answer p99, ms",
    ]
    stream_rows = []
    for level, gaps in streams.items():
        first = [times[0] for times in gaps if times]
        between = [b - a for times in gaps for a, b in pairwise(times)]
        stream_rows.append(
            [
                level,
                *(f"{1e3 * percentile(first, share):.1f}" for share in (0.5, 0.99)),
                *(f"{1e3 * percentile(between, share):.2f}" for share in (0.5, 0.99)),
            ]
        )
    stream_header = [
        "callers",
        "first piece p50, ms",
        "p99",
        "between pieces p50, ms",
        "p99",
    ]
    return [
        f"{TOKENS} tokens an answer, {ROUNDS} rounds, the load generator on the same cores.",
        table(header, rows),
        "Refrain int8, streamed (a piece is one token, or several where the reader was busy):",
        table(stream_header, stream_rows),
    ]


if __name__ == "__main__":
    main()
