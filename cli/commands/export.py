"""`refrain export`: a language model in the format of other runtimes."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  refrain export checkpoints/tang exported/tang
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "export",
        help="write a language model as an ONNX graph",
        description="Write one step of a recurrent language model as an ONNX graph, in float32, with its tokenizer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="a checkpoint's folder")
    parser.add_argument("output", metavar="OUT", type=Path, help="the folder to write to")
    parser.add_argument("--format", choices=("onnx",), default="onnx", help="(default: onnx)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, and report what was written."""
    from refrain.models.checkpoint import CONFIG, TOKENIZER, load_checkpoint
    from refrain.models.onnx_export import GRAPH, export_onnx
    from refrain.training.errors import OutputExistsError
    from refrain.training.reporting.optional_package import require

    for package in ("onnx", "onnxscript"):
        require(package, "onnx")
    if (options.output / CONFIG).exists():
        raise OutputExistsError(f"{options.output} is a checkpoint's folder; choose another OUT")
    if (options.output / GRAPH).exists() and not options.overwrite:
        raise OutputExistsError(
            f"{options.output / GRAPH} already exists; choose another OUT, or add --overwrite"
        )
    checkpoint = load_checkpoint(options.checkpoint)
    print(f"exporting {checkpoint.name}, which takes a few seconds", flush=True)
    graph = export_onnx(checkpoint, options.output)
    print(f"wrote {graph} ({graph.stat().st_size:,} bytes) and {graph.with_name(TOKENIZER)}")
    return 0
