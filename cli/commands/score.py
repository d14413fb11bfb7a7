"""`refrain score`: how likely texts are, without a server or by one."""

from __future__ import annotations

import argparse
import math
from contextlib import closing
from typing import TYPE_CHECKING

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import is_typed, text_batches
from refrain.cli.options.answers import add_answer_options
from refrain.cli.output import formatted, shortened, write_json

if TYPE_CHECKING:
    from refrain.cli.answers.protocol import Answer

EXAMPLES = """examples:
  refrain score "The ship was built in 1910 and sank in the war."
  refrain score "The cat sat." "The cat sit." --per-token
  refrain score < lines.txt | jq .perplexity             # a line of JSON for each line
  refrain score --model tang < poems.txt > scores.jsonl

A lower perplexity is a likelier text. Perplexities compare only between texts scored by the same model. To choose
documents by it, see `refrain filter`.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /score`."""
    parser = commands.add_parser(
        "score",
        help="measure how likely texts are",
        description="Measure how likely texts, or the lines of standard input, are under a language model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="what to measure")
    parser.add_argument("--per-token", action="store_true", help="report every token")
    parser.add_argument(
        "--count-end", action="store_true", help="count the end of the text as one more token"
    )
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure each text."""
    from refrain.inference.operations.scoring import ScoreParams

    params = ScoreParams(options.per_token, options.count_end)
    is_json = options.json or not (options.texts or is_typed())
    with closing(answers_of(options)) as answers:
        for texts in text_batches(options.texts, answers.max_texts):
            found = answers.score(texts, params)
            for text, answer in zip(texts, found, strict=True):
                if is_json:
                    write_json({"text": text, **answer})
                else:
                    print(_described(text, answer), flush=True)
    return 0


def _described(text: str, answer: Answer) -> str:
    unknown = f" ({answer['num_unknown']} unknown)" if answer["num_unknown"] else ""
    line = (
        f"perplexity {formatted(answer['perplexity'])}, {formatted(answer['bits_per_character'])} bits a character, "
        f"{answer['num_tokens']} tokens{unknown}, {answer['model']}: {shortened(text)}"
    )
    rows = [
        f"  {math.exp(token['logprob']):10.2%}  rank {token['rank']:>6,}  {shortened(token['token'])}"
        for token in answer.get("tokens", ())
    ]
    return "\n".join([line, *rows])
