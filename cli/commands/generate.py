"""`refrain generate`: continue a text, without a server or by one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from refrain.cli.answers import answers_of
from refrain.cli.documents.texts import is_typed, text_batches
from refrain.cli.options.answers import add_answer_options, add_sampling_options, checked, only
from refrain.cli.output import write_json
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import PARAMETERS, Bounds, SamplingParams, check_number

if TYPE_CHECKING:
    from refrain.cli.answers.protocol import Answers
    from refrain.inference.operations.generation import GenerationParams

EXAMPLES = """examples:
  refrain generate "The river flows through the" --temperature 0.7 --top-p 0.9 --seed 4
  refrain generate $'《静夜思》\\n' --max-tokens 60 --seed 6
  refrain generate "The capital of the United" --num-beams 8 --n 2
  refrain generate --json < prompts.txt > texts.jsonl      # a prompt a line, written side by side
  refrain generate "The ship was" --url http://127.0.0.1:8000

Without a PROMPT the lines of standard input are the prompts; at a terminal a text is written from its beginning.
The same seed gives the same text, here and on a server; every prompt is a request of its own.
"""
SEED: Bounds = {"ge": 0, "le": 2**63 - 1}
BIAS: Bounds = {"ge": -1000, "le": 1000}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the fields of `POST /generate`."""
    parser = commands.add_parser(
        "generate",
        help="continue a text",
        description="Continue a text, or each line of standard input, with a language model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", nargs="?", help="what to go on with; may be empty")
    add_sampling_options(parser)
    _add_text_options(parser)
    _add_token_options(parser)
    add_answer_options(parser)
    parser.set_defaults(run=run)


def _add_text_options(parser: argparse.ArgumentParser) -> None:
    """Describe which texts are wanted."""
    parser.add_argument(
        "--seed", type=int, help="the same seed gives the same text (default: a new one)"
    )
    parser.add_argument("--n", type=int, default=1, help="texts for each prompt (default: 1)")
    parser.add_argument(
        "--best-of",
        type=int,
        default=argparse.SUPPRESS,
        metavar="TEXTS",
        help="texts to write for each prompt, of which the n likeliest (by the mean token) are kept",
    )
    parser.add_argument(
        "--num-beams",
        type=int,
        default=1,
        metavar="BEAMS",
        help="above 1: search for the likeliest texts with so many hypotheses (default: 1)",
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        default=argparse.SUPPRESS,
        metavar="PENALTY",
        help="of a search: texts are ranked by log-probability over length to this power (default: 1.0)",
    )
    parser.add_argument(
        "--stop", nargs="+", default=[], metavar="STRING", help="strings that end the text"
    )


def _add_token_options(parser: argparse.ArgumentParser) -> None:
    """Describe which tokens may be written, and what is reported of them."""
    parser.add_argument(
        "--logit-bias",
        nargs="+",
        default=[],
        metavar="TOKEN=BIAS",
        help="added to the logits of tokens, by their text, such as ' the=-5'",
    )
    parser.add_argument(
        "--allowed",
        nargs="+",
        metavar="TOKEN",
        help="the only tokens that may be written, by their text, besides the end",
    )
    parser.add_argument(
        "--logprobs",
        type=int,
        metavar="TOKENS",
        help="report each token's log-probability and so many alternatives (with --json)",
    )


def _params(options: argparse.Namespace) -> GenerationParams:
    """Return what the flags ask for.

    Raises
    ------
    InvalidParameterError
        For flags that do not go together, or a value that cannot be.
    """
    from refrain.inference.operations.generation import GenerationParams, check_search

    given = vars(options)
    if options.seed is not None:
        check_number("seed", options.seed, SEED)
    check_search(given, options.num_beams)
    return GenerationParams(
        SamplingParams(**only(given, *PARAMETERS)),
        n=options.n,
        stop=options.stop,
        logit_bias=dict(map(_bias, options.logit_bias)),
        **only(given, "best_of", "num_beams", "length_penalty", "allowed", "logprobs"),
    )


def _bias(text: str) -> tuple[str, float]:
    token, _, bias = text.rpartition("=")
    try:
        value = float(bias)
    except ValueError as error:
        raise InvalidParameterError(
            f"must be a token and a number, such as ' the=-5', not {text!r}", "logit_bias"
        ) from error
    check_number("logit_bias", value, BIAS)
    return token, value


def run(options: argparse.Namespace) -> int:
    """Write what follows each prompt."""
    given = [] if options.prompt is None else [options.prompt]
    if not given and is_typed():
        given = [""]
    params = checked(lambda: _params(options))
    with closing(answers_of(options)) as answers:
        is_shown = sys.stdout.isatty() and not options.json
        if is_shown and given and params.num_beams == params.num_tried == 1:
            _stream(answers.stream(given[0], params, options.seed))
        else:
            _write_all(answers, options, given, params)
    return 0


def _stream(pieces: Iterable[str]) -> None:
    """Show a text as it is written."""
    text = ""
    for text in pieces:
        print(text, end="", flush=True)
    if not text.endswith("\n"):
        print()


def _write_all(
    answers: Answers, options: argparse.Namespace, given: list[str], params: GenerationParams
) -> None:
    for prompts in text_batches(given, answers.max_texts):
        found = answers.generate(prompts, params, options.seed)
        for prompt, answer in zip(prompts, found, strict=True):
            if options.json:
                write_json({"prompt": prompt, **answer})
            else:
                texts = [choice["text"] for choice in answer["choices"]]
                print("\n\n".join(texts), flush=True)
