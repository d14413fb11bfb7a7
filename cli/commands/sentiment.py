"""`refrain sentiment`: the sentiment of reviews, without a server or by one."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import text_batches
from refrain.cli.options.answers import add_answer_options
from refrain.cli.output import shortened, write_json

if TYPE_CHECKING:
    from refrain.cli.answers.protocol import Answer

EXAMPLES = """examples:
  refrain sentiment "A lovely film with lovely performances."
  refrain sentiment 房间太小，服务很差。 "What a waste of time."
  refrain sentiment --json < reviews.txt | jq -r .label | sort | uniq -c
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /sentiment`."""
    parser = commands.add_parser(
        "sentiment",
        help="judge reviews",
        description="Classify the sentiment of reviews, or of lines of standard input, each by its language's model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a review")
    parser.add_argument(
        "--language",
        choices=("en", "zh"),
        help="language of the texts (default: the script of each one decides)",
    )
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge each review."""
    with closing(answers_of(options)) as answers:
        for texts in text_batches(options.texts, answers.max_texts):
            found = answers.sentiment(texts, options.language)
            for text, answer in zip(texts, found, strict=True):
                if options.json:
                    write_json({"text": text, **answer})
                else:
                    print(_described(text, answer), flush=True)
    return 0


def _described(text: str, answer: Answer) -> str:
    sure = answer["probabilities"][answer["label"]]
    return f"{answer['label']:14} {sure:6.1%}  {answer['stars']:.1f} of 5 stars  {shortened(text)}"
