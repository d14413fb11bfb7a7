"""`refrain next`: what may come next, without a server or by one."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import is_typed, text_batches
from refrain.cli.options.answers import add_answer_options, checked
from refrain.cli.output import shortened, write_json

if TYPE_CHECKING:
    from refrain.cli.answers.protocol import Answer
    from refrain.inference.operations.next_token import NextQuery

EXAMPLES = """examples:
  refrain next "The capital of the United" --top-k 3
  refrain next "The" --starts-with wa                    # letters already typed
  refrain next "She plays the" --candidates piano guitar car
  refrain next 春眠不觉 --model tang
  refrain next --json --top-k 1 < prefixes.txt | jq -r '.predictions[0].token'
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /next`."""
    parser = commands.add_parser(
        "next",
        help="predict the next word or character",
        description="Predict the next token of a text, or of each line of standard input.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prefixes", nargs="*", metavar="PREFIX", help="what has been written")
    parser.add_argument(
        "--top-k", type=int, default=10, metavar="K", help="predictions to report (default: 10)"
    )
    parser.add_argument(
        "--starts-with",
        default="",
        metavar="LETTERS",
        help="letters already typed of the word under way",
    )
    parser.add_argument(
        "--candidates", nargs="+", metavar="TEXT", help="words whose probability to report too"
    )
    parser.add_argument(
        "--normalize",
        choices=("vocabulary", "candidates"),
        default="vocabulary",
        help="candidates: probabilities among the candidates alone, each of one token (default: vocabulary)",
    )
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Predict what follows each prefix."""
    given = options.prefixes or ([""] if is_typed() else [])
    query = checked(lambda: _query(options))
    with closing(answers_of(options)) as answers:
        for prefixes in text_batches(given, answers.max_texts):
            for prefix, answer in zip(prefixes, answers.next(prefixes, query), strict=True):
                if options.json:
                    write_json({"prefix": prefix, **answer})
                else:
                    is_alone = len(given) == 1
                    print(_described(None if is_alone else prefix, answer), flush=True)
    return 0


def _query(options: argparse.Namespace) -> NextQuery:
    """Return what the flags ask for.

    Raises
    ------
    InvalidParameterError
        For flags that do not go together, or a value that cannot be.
    """
    from refrain.inference.operations.next_token import NextQuery

    return NextQuery(options.top_k, options.starts_with, options.candidates, options.normalize)


def _described(prefix: str | None, answer: Answer) -> str:
    found = answer.get("candidates") or answer["predictions"]
    rows = [
        f"{each['probability']:8.2%}  {shortened(each['token'])}"
        + ("  (not in the vocabulary)" if each.get("unknown") else "")
        for each in found
    ]
    return "\n".join(rows if prefix is None else [shortened(prefix), *rows])
