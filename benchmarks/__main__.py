"""Run every benchmark, one after another: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "engine",
    "counting",
    "scoring",
    "latency",
    "serving",
    "long_text",
    "large_text",
    "invariance",
    "soak",
    "kneser_ney",
    "train_step",
    "explain",
)


def main() -> None:
    """Run each in a process of its own, so that none warms another up."""
    for name in NAMES:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
