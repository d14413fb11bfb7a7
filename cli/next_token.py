"""`refrain next`: what may come next, without a server or by one."""

from __future__ import annotations

import argparse
from contextlib import closing

from app.api.schemas.next_token import NextBody
from cli.answers import Answer, add_answer_options, add_field, answers_of, body_of
from cli.output import shortened, write_json
from cli.texts import is_typed, text_batches

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
    add_field(parser, NextBody, "top_k", type=int)
    add_field(parser, NextBody, "starts_with", metavar="LETTERS")
    add_field(parser, NextBody, "candidates", nargs="+", metavar="TEXT")
    add_field(parser, NextBody, "normalize", choices=("vocabulary", "candidates"), metavar=None)
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Predict what follows each prefix."""
    given = options.prefixes or ([""] if is_typed() else [])
    with closing(answers_of(options)) as answers:
        for prefixes in text_batches(given, answers.max_texts):
            body = body_of(NextBody, options, prefix=prefixes)
            for prefix, answer in zip(prefixes, answers.next(body), strict=True):
                if options.json:
                    write_json({"prefix": prefix, **answer})
                else:
                    is_alone = len(given) == 1
                    print(_described(None if is_alone else prefix, answer), flush=True)
    return 0


def _described(prefix: str | None, answer: Answer) -> str:
    found = answer.get("candidates") or answer["predictions"]
    rows = [
        f"{each['probability']:8.2%}  {shortened(each['token'])}"
        + ("  (not in the vocabulary)" if each.get("unknown") else "")
        for each in found
    ]
    return "\n".join(rows if prefix is None else [shortened(prefix), *rows])
