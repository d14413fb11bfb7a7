"""`refrain generate`: continue a text, without a server or by one."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from app.api.schemas.generate import GenerateBody
from cli.answers import Answers, add_answer_options, add_field, answers_of, body_of
from cli.output import write_json
from cli.texts import is_typed, text_batches

EXAMPLES = """examples:
  refrain generate "The river flows through the" --temperature 0.7 --top-p 0.9 --seed 4
  refrain generate $'《静夜思》\\n' --max-tokens 60 --seed 6
  refrain generate "The capital of the United" --num-beams 8 --n 2
  refrain generate --json < prompts.txt > texts.jsonl      # a prompt a line, written side by side
  refrain generate "The ship was" --url http://127.0.0.1:8000

Without a PROMPT the lines of standard input are the prompts; at a terminal a text is written from its beginning.
The same seed gives the same text, here and on a server; every prompt is a request of its own.
"""
FLAGS = {
    "max_tokens": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
    "frequency_penalty": float,
    "presence_penalty": float,
    "seed": int,
    "n": int,
    "num_beams": int,
    "length_penalty": float,
}


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
    for name, kind in FLAGS.items():
        add_field(parser, GenerateBody, name, type=kind)
    add_field(parser, GenerateBody, "stop", nargs="+", metavar="STRING")
    add_field(parser, GenerateBody, "ignore_eos", action="store_true")
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write what follows each prompt."""
    given = [] if options.prompt is None else [options.prompt]
    if not given and is_typed():
        given = [""]
    body = body_of(GenerateBody, options, prompt=given or [""])
    with closing(answers_of(options)) as answers:
        is_shown = sys.stdout.isatty() and not options.json
        if is_shown and given and body.n == body.num_beams == 1:
            _stream(answers, body)
        else:
            _write_all(answers, options, given)
    return 0


def _stream(answers: Answers, body: GenerateBody) -> None:
    """Show a text as it is written."""

    def show(text: str) -> None:
        print(text, end="", flush=True)

    (answer,) = answers.generate(body, show)
    if not answer["choices"][0]["text"].endswith("\n"):
        print()


def _write_all(answers: Answers, options: argparse.Namespace, given: list[str]) -> None:
    for prompts in text_batches(given, answers.max_texts):
        body = body_of(GenerateBody, options, prompt=prompts)
        for prompt, answer in zip(prompts, answers.generate(body), strict=True):
            if options.json:
                write_json({"prompt": prompt, **answer})
            else:
                texts = [choice["text"] for choice in answer["choices"]]
                print("\n\n".join(texts), flush=True)
