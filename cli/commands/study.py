"""`refrain study`: small experiments that show how recurrent networks work."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.cli.options.study import add_number, add_numbers, add_seeds, add_text_source

if TYPE_CHECKING:
    from refrain.training.data.corpus import TextCorpus

GRADIENTS = """examples:
  refrain study gradients                            # on the Tang poems (see refrain datasets)
  refrain study gradients --text my-book.txt         # on your own text
  refrain study gradients --text my-book.txt --steps 0 --distance 200    # fresh networks alone, further back

How much would the loss here change if the input k steps ago were another? The norm of that gradient, against k,
for an Elman network, a GRU and an LSTM of equal parameters, before and after training.
"""
COPY = """examples:
  refrain study copy
  refrain study copy --lags 5 20 --steps 400         # a quick look
  refrain study copy --lags 200 --seeds 0 --parameters 60000

Read a few symbols, then blanks for a while, then repeat the symbols. How long may the gap be? One training run from
scratch for every network, lag and seed.
"""
BPTT = """examples:
  refrain study bptt
  refrain study bptt --lag 3 --steps 600             # a shorter memory needs a shorter reach
  refrain study bptt --lag 12 --hidden-size 96 --steps 1500 --longest 30

Backpropagation through time without autograd: training/studies/elman_by_hand.py is the whole of it. The study
takes its gradient apart by distance, and truncates it.
"""
WORD_ORDER = """examples:
  refrain study word-order
  refrain study word-order --steps 100               # what is learned first?
  refrain study word-order --seeds 0 1 2 3 4

我要去打篮球 and 我要打篮球去 have the same words, so the same average of word vectors. Classifiers that differ in
nothing but how they put vectors together are trained on generated sentences, and tested on pairs that they never saw.
"""
TOKENIZERS = """examples:
  refrain study tokenizers                           # on Chinese reviews (see refrain datasets)
  refrain study tokenizers --dataset tang
  refrain study tokenizers --text my-book.txt --characters 200000

Characters, words as jieba cuts them, and byte pairs on the same text: as many characters read, as many parameters
in the network, and the result in bits per character, which can be compared. No vocabulary has an unknown token: what it
lacks is spelled out in characters, and a character that it lacks in bytes.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and every study."""
    parser = commands.add_parser(
        "study",
        help="run a small experiment on how recurrent networks work",
        description="Run a small experiment on how recurrent networks work, each a few minutes on one core. "
        "docs/understanding.md explains them.",
    )
    studies = parser.add_subparsers(dest="study", required=True, metavar="NAME")
    _add_gradients(_add_study(studies, "gradients", "how far back a gradient reaches", GRADIENTS))
    _add_copy(_add_study(studies, "copy", "how long a network can remember", COPY))
    _add_bptt(_add_study(studies, "bptt", "backpropagation through time by hand", BPTT))
    _add_word_order(
        _add_study(studies, "word-order", "what an average cannot distinguish", WORD_ORDER)
    )
    _add_tokenizers(_add_study(studies, "tokenizers", "characters, words, byte pairs", TOKENIZERS))


def _add_study(
    studies: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    title: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Describe what all studies have in common."""
    parser = studies.add_parser(
        name,
        help=title,
        description=f"{title[0].upper()}{title[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/studies"),
        help=f"the folder for {name}.svg and {name}.json (default: runs/studies)",
    )
    parser.set_defaults(run=run)
    return parser


def _add_gradients(parser: argparse.ArgumentParser) -> None:
    add_text_source(parser, "tang")
    add_number(parser, "--distance", 100, "how many characters to look back")
    add_number(parser, "--steps", 500, "updates of training", least=0)
    add_seeds(parser, (0, 1))
    parser.set_defaults(
        measure=lambda study, asked: study.measure(
            _corpus(asked), distance=asked.distance, num_steps=asked.steps, seeds=asked.seeds
        )
    )


def _add_copy(parser: argparse.ArgumentParser) -> None:
    lags = (2, 5, 10, 20, 40, 80)
    add_numbers(parser, "--lags", lags, "blank steps between reading and repeating")
    add_number(parser, "--symbols", 2, "symbols to remember")
    add_number(parser, "--steps", 800, "updates of each run")
    add_number(parser, "--parameters", 20_000, "size of the recurrent layer")
    add_seeds(parser, (0, 1))
    parser.set_defaults(
        measure=lambda study, asked: study.measure(
            lags=asked.lags,
            num_copied=asked.symbols,
            num_steps=asked.steps,
            budget=asked.parameters,
            seeds=asked.seeds,
        )
    )


def _add_bptt(parser: argparse.ArgumentParser) -> None:
    add_number(parser, "--lag", 8, "steps after which a symbol is to be echoed")
    add_number(parser, "--hidden-size", 64, "width of the hidden layer")
    add_number(parser, "--steps", 300, "updates of training", least=0)
    add_number(parser, "--longest", 24, "longest truncation that is tried")
    add_seeds(parser, (0, 1, 2))
    parser.set_defaults(
        measure=lambda study, asked: study.measure(
            lag=asked.lag,
            hidden_size=asked.hidden_size,
            num_steps=asked.steps,
            longest=asked.longest,
            seeds=asked.seeds,
        )
    )


def _add_word_order(parser: argparse.ArgumentParser) -> None:
    add_number(parser, "--steps", 600, "updates of each run")
    add_seeds(parser, (0, 1, 2))
    parser.set_defaults(
        measure=lambda study, asked: study.measure(num_steps=asked.steps, seeds=asked.seeds)
    )


def _add_tokenizers(parser: argparse.ArgumentParser) -> None:
    add_text_source(parser, "chinese-review-texts")
    add_number(parser, "--characters", 400_000, "characters that each network reads")
    add_number(parser, "--vocabulary", 8_000, "most tokens of words and byte pairs")
    add_seeds(parser, (0,))
    parser.set_defaults(
        measure=lambda study, asked: study.measure(
            _corpus(asked),
            num_characters=asked.characters,
            vocab_size=asked.vocabulary,
            seeds=asked.seeds,
        )
    )


def _corpus(asked: argparse.Namespace) -> TextCorpus:
    from refrain.training.studies.texts import read_corpus

    return read_corpus(asked.dataset, asked.text, asked.data)


def run(asked: argparse.Namespace) -> int:
    """Measure, print a table, and write the numbers as JSON and as a plot."""
    from refrain.training.output import make_folder
    from refrain.training.studies.figure import save, style

    study = importlib.import_module(f"refrain.training.studies.{asked.study.replace('-', '_')}")
    with style():
        make_folder(asked.output)
        result = asked.measure(study, asked)
        written = [asked.output / f"{asked.study}{suffix}" for suffix in (".json", ".svg")]
        numbers = json.dumps(result, ensure_ascii=False, indent=1)
        written[0].write_text(numbers + "\n", encoding="utf-8")
        print(study.table(result))
        save(study.draw(result), written[1])
    print(f"\nwritten: {written[0]}, {written[1]}")
    return 0
