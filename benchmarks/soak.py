"""The memory of the service from its 1,000th to its 50,000th request, with callers leaving at random.

python -m benchmarks.soak [--requests 50000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.invariance import make_request
from benchmarks.long_text import resident_mb, wait_until_ready
from benchmarks.report import save
from benchmarks.serving import free_port

ROOT = Path(__file__).parents[1]
CROWD = 50


class Callers:
    """Asks a service over sockets, a new connection each time; some callers leave before they have their answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._draw = random.Random(1)
        self.num_left = 0

    async def ask(self, number: int) -> None:
        """Ask one thing, and read the answer or leave."""
        path, body = make_request(number % 5_000)
        packed = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(packed)}\r\n\r\n"
        leaves = self._draw.random() < 0.1
        patience = self._draw.random() * 0.03 if leaves else 60
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(head.encode() + packed)
            answer = await asyncio.wait_for(reader.read(), patience)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
        except TimeoutError:
            assert leaves
            self.num_left += 1
        finally:
            writer.transport.abort()


async def run(port: int, process: int, num_requests: int) -> tuple[list[tuple[int, float]], int]:
    """Ask everything in crowds; give the service's memory as it goes, and how many callers left."""
    callers = Callers(port)
    sizes: list[tuple[int, float]] = []
    for first in range(0, num_requests, CROWD):
        await asyncio.gather(*map(callers.ask, range(first, first + CROWD)))
        if first + CROWD in (1_000, 10_000, 25_000, num_requests):
            sizes.append((first + CROWD, resident_mb(process)))
            print(*sizes[-1], flush=True)
    return sizes, callers.num_left


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    options = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "refrain", "serve", "--port", str(port)]
    start = time.perf_counter()
    with subprocess.Popen([*command, "--prefix-cache-bytes=1000000"], cwd=ROOT) as server:
        try:
            wait_until_ready(port)
            sizes, num_left = asyncio.run(run(port, server.pid, options.requests))
        finally:
            server.terminate()
    seconds = time.perf_counter() - start
    after = ", ".join(f"{number:,}: {size:.1f} MB" for number, size in sizes)
    growth = sizes[-1][1] / sizes[0][1] - 1
    save(
        "soak",
        "Memory over many requests",
        f"{options.requests:,} mixed requests in crowds of {CROWD} ({seconds:.0f} s), {num_left:,} of which were left "
        f"by their callers. Resident memory after request {after}. Growth: {growth:.2%}.",
    )


if __name__ == "__main__":
    main()
