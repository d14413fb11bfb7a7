"""Many requests of mixed kinds at random concurrency against the same requests alone: not one byte may differ.

    python -m benchmarks.invariance [--requests 10000] [--precision int8]

Then texts that one process begins and another goes on with, from the state alone.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from benchmarks.long_text import wait_until_ready
from benchmarks.report import save
from benchmarks.serving import free_port
from refrain.app.main import create_app
from refrain.app.settings import Settings

ROOT = Path(__file__).parents[1]
NUM_TEXTS = 200
TEXTS = ("The ship was built in", "春眠不觉晓，", "", "A small town of", "床前明月光", "In 1910 he")


def make_request(number: int) -> tuple[str, dict[str, object]]:
    """Return the n-th request: a route and a body."""
    draw = random.Random(number)
    text = draw.choice(TEXTS) + " of the" * draw.randrange(3)
    kind = draw.randrange(12)
    if kind < 3:
        return "/score", {"text": text + " the war.", "per_token": True}
    if kind < 5:
        return "/next", {"prefix": text, "top_k": draw.randrange(1, 20)}
    if kind == 5:
        hypotheses = [{"text": word} for word in ("town", "city", "small ship")]
        return "/rescore", {"context": text, "hypotheses": hypotheses}
    if kind == 6:
        return "/generate", {
            "prompt": text,
            "num_beams": draw.randrange(2, 6),
            "max_tokens": draw.randrange(1, 12),
        }
    return "/generate", {
        "prompt": text,
        "seed": number,
        "max_tokens": draw.randrange(1, 40),
        "temperature": draw.choice([0.0, 0.7, 1.0, 1.3]),
        "top_p": draw.choice([1.0, 0.9]),
        "top_k": draw.choice([0, 0, 40]),
        "repetition_penalty": draw.choice([1.0, 1.2]),
        "logprobs": draw.choice([None, 2]),
        "stream": draw.random() < 0.2,
        "return_state": draw.random() < 0.2,
        "n": draw.choice([1, 1, 2]),
        "typical_p": draw.choice([1.0, 1.0, 0.9]),
    }


def text_of(path: str, body: dict[str, object], response: httpx.Response) -> str:
    """Return everything that was answered; a stream's pieces are put together, since it may be cut anywhere."""
    assert response.status_code == 200, response.text
    if not body.get("stream"):
        return f"{path} {response.text}"
    texts: dict[int, str] = {}
    ends: list[tuple[Any, ...]] = []
    for line in response.text.split("\n"):
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        index = event.get("index", -1)
        texts[index] = texts.get(index, "") + event.get("text", "")
        ends += [(index, event.get("finish_reason"), event.get("state"))]
    return f"{path} {sorted(texts.items())} {sorted(map(str, (e for e in ends if e[1])))}"


async def answers(
    precision: str, num_requests: int, crowd: int, **settings: object
) -> tuple[list[bytes], float]:
    """Ask a service of its own everything, up to `crowd` at once; give a hash of each answer, and the seconds."""
    app = create_app(Settings(precision=precision, state_secret="the same", **settings))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=600) as client,
    ):

        async def ask(number: int) -> bytes:
            path, body = make_request(number)
            answered = text_of(path, body, await client.post(path, json=body))
            return hashlib.sha256(answered.encode()).digest()

        draw = random.Random(1)
        start = time.perf_counter()
        found: list[bytes] = []
        name = f"{precision}, {'in crowds' if crowd > 1 else 'alone'}"
        with tqdm(total=num_requests, desc=name) as progress:
            while len(found) < num_requests:
                size = min(draw.randint(1, crowd), num_requests - len(found))
                found += await asyncio.gather(*map(ask, range(len(found), len(found) + size)))
                progress.update(size)
        return found, time.perf_counter() - start


async def run(precision: str, num_requests: int) -> tuple[int, float, float]:
    """Serve every request in a crowd, where texts wait for slots and take turns at them; then alone, by a new service.

    Returns how many answers differ, and the seconds of both. The second service has no prefix cache.
    """
    crowd, crowd_seconds = await answers(precision, num_requests, 99, max_slots=32)
    alone, alone_seconds = await answers(precision, num_requests, 1, prefix_cache_bytes=0)
    return sum(a != b for a, b in zip(crowd, alone, strict=True)), crowd_seconds, alone_seconds


def post(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask a service."""
    answer = httpx.post(f"http://127.0.0.1:{port}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def across_processes(precision: str, num_texts: int) -> int:
    """Begin texts in one process and go on in another; give how many differ from those of one piece."""
    ports = [free_port(), free_port()]
    command = [sys.executable, "-m", "refrain", "serve", "--precision", precision]
    environment = {**os.environ, "REFRAIN_STATE_SECRET": "the same"}
    servers = [
        subprocess.Popen([*command, "--port", str(port)], env=environment, cwd=ROOT)
        for port in ports
    ]
    num_different = 0
    try:
        for port in ports:
            wait_until_ready(port)
        for seed in range(num_texts):
            asked: dict[str, Any] = {
                "prompt": TEXTS[seed % len(TEXTS)],
                "seed": seed,
                "max_tokens": 24,
            }
            whole = post(ports[0], "/generate", {**asked, "ignore_eos": True})
            half = {**asked, "max_tokens": 1 + seed % 23, "ignore_eos": True, "return_state": True}
            (begun,) = post(ports[0], "/generate", half)["choices"]
            rest = {"state": begun["state"], "seed": seed, "ignore_eos": True}
            rest["max_tokens"] = 24 - half["max_tokens"]
            (ended,) = post(ports[1], "/generate", rest)["choices"]
            num_different += begun["text"] + ended["text"] != whole["choices"][0]["text"]
    finally:
        for server in servers:
            server.terminate()
            server.wait(30)
    return num_different


def main() -> None:
    """Compare and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--precision", nargs="+", default=["int8", "fp32"])
    options = parser.parse_args()
    lines = []
    for precision in options.precision:
        num_different, crowd, alone = asyncio.run(run(precision, options.requests))
        lines.append(
            f"{precision}: {options.requests:,} requests in crowds of 1 to 99 ({crowd:.0f} s) and alone "
            f"({alone:.0f} s): {num_different} answers differ."
        )
        print(lines[-1], flush=True)
        assert not num_different
        num_different = across_processes(precision, NUM_TEXTS)
        lines.append(
            f"{precision}: {NUM_TEXTS} texts begun in one process and gone on with in another: {num_different} differ "
            "from those of one piece."
        )
        print(lines[-1], flush=True)
        assert not num_different
    save("invariance", "The same request, whoever else is served", *lines)


if __name__ == "__main__":
    main()
