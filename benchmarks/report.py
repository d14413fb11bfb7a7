"""Tables and figures with the machine and the commit that they were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from refrain.models.native.step.library import best_variant

RESULTS = Path(__file__).parent / "results"


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def machine() -> str:
    """Return in one line what the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{date.today()}, commit {commit}, {model}, {cores} cores, kernel variant {best_variant()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def save_figure(name: str, figure: Any) -> None:
    """Keep a matplotlib figure in `benchmarks/results`."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = name
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


def save(name: str, title: str, *parts: str) -> None:
    """Print a result and keep it in `benchmarks/results`."""
    text = "\n\n".join((f"# {title}", machine(), *parts)) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)
