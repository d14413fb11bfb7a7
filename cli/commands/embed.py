"""`refrain embed`: texts to vectors, without a server or by one."""

from __future__ import annotations

import argparse
from contextlib import closing

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import text_batches
from refrain.cli.options.answers import add_answer_options
from refrain.cli.output import write_json

EXAMPLES = """examples:
  refrain embed "The ship sank." "A boat was lost."
  refrain embed --pooling last < lines.txt > vectors.jsonl   # a line of JSON for each line

Vectors are of unit length: texts alike to the model have a large dot product.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /embed`."""
    parser = commands.add_parser(
        "embed",
        help="turn texts to vectors",
        description="Turn texts, or the lines of standard input, to vectors: what a language model remembers of them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="what to embed; not empty")
    parser.add_argument(
        "--pooling",
        choices=("mean", "last"),
        default="mean",
        help="the mean of the states after each token, or the state after the last (default: mean)",
    )
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a line of JSON for each text; there is no other form."""
    with closing(answers_of(options)) as answers:
        for texts in text_batches(options.texts, answers.max_texts):
            for text, answer in zip(texts, answers.embed(texts, options.pooling), strict=True):
                write_json({"text": text, **answer})
    return 0
