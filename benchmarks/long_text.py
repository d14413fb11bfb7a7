"""One text of ten million tokens through `/score/stream` of a running service: its speed, and the service's memory.

python -m benchmarks.long_text [--tokens 10000000]
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from benchmarks.report import save, table
from benchmarks.serving import free_port
from refrain.models.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
STRIDE = 50_000
CHUNK = 8_192


def resident_mb(process: int) -> float:
    """Return the memory that a process holds now, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1e3


def characters(num_tokens: int) -> Iterator[bytes]:
    """Yield a text of known characters, in chunks."""
    tokenizer = load_checkpoint(ROOT / "checkpoints/tang").tokenizer
    known = [tokenizer.surface(i) for i in range(2, tokenizer.vocab_size)]
    draw = random.Random(1)
    for first in range(0, num_tokens, CHUNK):
        yield "".join(draw.choices(known, k=min(CHUNK, num_tokens - first))).encode()


def send(connection: http.client.HTTPConnection, num_tokens: int) -> None:
    """Write the body, a chunk at a time."""
    for chunk in characters(num_tokens):
        connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    connection.send(b"0\r\n\r\n")


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    num_tokens: int = parser.parse_args().tokens
    port = free_port()
    command = [sys.executable, "-m", "refrain", "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        try:
            rows = measure(server.pid, port, num_tokens)
        finally:
            server.terminate()
    text = f"`tang`, one text of {num_tokens:,} characters, sent in chunks of {CHUNK:,} while answers are read."
    header = ["tokens so far", "tokens/s", "perplexity", "memory of the service, MB"]
    save("long_text", "A text of any length", text, table(header, rows))


def measure(process: int, port: int, num_tokens: int) -> list[list[str]]:
    """Send the text; note memory at ten places."""
    wait_until_ready(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.putrequest("POST", f"/score/stream?model=tang&stride={STRIDE}")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    start = time.perf_counter()
    Thread(target=send, args=(connection, num_tokens), daemon=True).start()
    rows, noted = [], 0
    response = connection.getresponse()
    while line := response.readline():
        found = json.loads(line)
        if found["final"] or found["num_tokens"] >= noted + num_tokens // 10:
            noted = found["num_tokens"]
            speed = noted / (time.perf_counter() - start)
            rows.append([f"{noted:,}", f"{speed:,.0f}", f"{found['perplexity']:.1f}"])
            rows[-1].append(f"{resident_mb(process):.1f}")
            print(rows[-1], flush=True)
    return rows


def wait_until_ready(port: int) -> None:
    """Wait until a service answers."""
    for _ in range(240):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.25)
    raise SystemExit("the service did not start")


if __name__ == "__main__":
    main()
