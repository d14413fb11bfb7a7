"""The processor that a command computes on: how many of its threads, and what it is."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from refrain.cli.documents.texts import InputError


def add_threads_option(parser: argparse.ArgumentParser) -> None:
    """Describe how many threads share a step."""
    parser.add_argument(
        "--num-threads",
        type=int,
        default=0,
        metavar="THREADS",
        help="threads of one step (default: as many as there are processors)",
    )


def num_threads_of(options: argparse.Namespace) -> int:
    """Return the threads of a step.

    Raises
    ------
    InputError
        If the number is negative.
    """
    if options.num_threads < 0:
        raise InputError(f"--num-threads must be 0 or more, not {options.num_threads}")
    return options.num_threads or len(os.sched_getaffinity(0))


def machine(num_threads: int) -> dict[str, str]:
    """Describe where this runs."""
    import torch

    from refrain.models.native.step.library import best_variant

    return {
        "processor": _processor(),
        "threads": f"{num_threads} of {os.cpu_count()} threads",
        "kernels": f"{best_variant()} kernels",
        "torch": f"torch {torch.__version__}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
