"""The memory of the service from its 1,000th to its 50,000th request, with callers leaving at random.

python -m benchmarks.soak [--requests 50000]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import time
from pathlib import Path

import httpx

from app.main import create_app
from app.settings import Settings
from benchmarks.invariance import make_request
from benchmarks.report import save

CROWD = 50


def resident_mb() -> float:
    """Give the memory that this process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def run(num_requests: int) -> tuple[list[tuple[int, float]], int, float]:
    """Serve requests, a tenth of which are cancelled on their way; give the memory as it goes."""
    app = create_app(Settings(prefix_cache_bytes=1_000_000))
    draw = random.Random(1)
    sizes: list[tuple[int, float]] = []
    num_left = 0
    start = time.perf_counter()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", timeout=600
        ) as client,
    ):
        for first in range(0, num_requests, CROWD):
            tasks = []
            for number in range(first, first + CROWD):
                path, body = make_request(number % 5_000)
                tasks.append(asyncio.create_task(client.post(path, json=body)))
            await asyncio.sleep(draw.random() * 0.02)
            for task in tasks:
                if draw.random() < 0.1:
                    num_left += not task.done()
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if first + CROWD in (1_000, 10_000, 25_000, num_requests):
                sizes.append((first + CROWD, resident_mb()))
    return sizes, num_left, time.perf_counter() - start


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    options = parser.parse_args()
    sizes, num_left, seconds = asyncio.run(run(options.requests))
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
