"""`refrain rescore`: order what a recogniser proposes, without a server or by one."""

from __future__ import annotations

import argparse
import json
import math
from contextlib import closing
from typing import TYPE_CHECKING

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import InputError, is_typed, text_batches
from refrain.cli.options.answers import add_answer_options, checked
from refrain.cli.output import shortened, write_json

if TYPE_CHECKING:
    from refrain.inference.operations.rescoring import Hypothesis, RescoringParams

EXAMPLES = """examples:
  refrain rescore "inn nineteen ten" "in 1910" --context "The ship was built"
  refrain rescore --weight 0.5 < hypotheses.jsonl         # {"text": "in 1910", "score": -4.3} a line
  refrain rescore 春眠不觉晓 春眠不觉小 --json

Without a HYPOTHESIS they are the lines of standard input: a text each, or an object of JSON with its "text" and the
recogniser's own "score", a natural logarithm. The likeliest comes first.
"""
AT_ONCE = 1 << 20
"""Lines that are taken together."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /rescore`."""
    parser = commands.add_parser(
        "rescore",
        help="order the hypotheses of a recogniser",
        description="Order what a recogniser of speech or handwriting proposes by its own score and by how it reads.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("hypotheses", nargs="*", metavar="HYPOTHESIS", help="what was recognised")
    _add_scoring_options(parser)
    add_answer_options(parser)
    parser.set_defaults(run=run)


def _add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Describe how hypotheses are compared."""
    parser.add_argument("--context", default="", help="what stands before every hypothesis")
    parser.add_argument(
        "--weight", type=float, default=1.0, help="of the log-likelihood (default: 1.0)"
    )
    parser.add_argument(
        "--length-normalize",
        action="store_true",
        help="take the log-likelihood of the mean token, not of the whole",
    )
    parser.add_argument(
        "--no-bos",
        dest="bos",
        action="store_false",
        help="without a context: leave each hypothesis's first token out, as if it began no text",
    )
    parser.add_argument(
        "--eos", action="store_true", help="count the end of the text after each hypothesis"
    )
    parser.add_argument(
        "--normalize",
        choices=("vocabulary", "hypotheses"),
        default="vocabulary",
        help="hypotheses: probabilities among their words alone (default: vocabulary)",
    )


def run(options: argparse.Namespace) -> int:
    """Order the hypotheses."""
    from refrain.inference.operations.rescoring import Hypothesis

    params = checked(lambda: _params(options))
    hypotheses = [*map(Hypothesis, options.hypotheses)] or _given_lines()
    with closing(answers_of(options)) as answers:
        answer = answers.rescore(options.context, hypotheses, params)
    if options.json:
        write_json(answer)
    else:
        for each in answer["hypotheses"]:
            print(f"{each['total']:10.3f}  {shortened(each['text'])}")
    return 0


def _params(options: argparse.Namespace) -> RescoringParams:
    """Return how hypotheses are compared.

    Raises
    ------
    InvalidParameterError
        For a weight that cannot be.
    """
    from refrain.inference.operations.rescoring import RescoringParams

    return RescoringParams(
        options.weight,
        options.length_normalize,
        bos=options.bos,
        eos=options.eos,
        normalize=options.normalize,
    )


def _given_lines() -> list[Hypothesis]:
    """Read the hypotheses of standard input; lines of blanks are none.

    Raises
    ------
    InputError
        If there are none, or naming the line that cannot be one.
    """
    batches = [] if is_typed() else text_batches([], AT_ONCE)
    lines = enumerate((line for batch in batches for line in batch), start=1)
    found = [_hypothesis(number, line) for number, line in lines if line.strip()]
    if not found:
        raise InputError("give hypotheses, as arguments or as lines of standard input")
    return found


def _hypothesis(number: int, line: str) -> Hypothesis:
    from refrain.inference.operations.rescoring import Hypothesis

    if not line.lstrip().startswith("{"):
        return Hypothesis(line)
    try:
        values = json.loads(line)
        text, score = values["text"], float(values.get("score", 0.0))
    except (ValueError, KeyError, TypeError, OverflowError):
        text, score = None, math.nan
    if not isinstance(text, str) or not math.isfinite(score):
        message = 'an object needs a "text", and may have a "score", a number'
        raise InputError(f"line {number}: {message}")
    return Hypothesis(text, score)
