r"""Characters, words and byte pairs on the same text, in bits per character.

Perplexities of different tokens do not compare: a word is harder to guess than a character, and says more. The whole
text's probability does, per character:

.. math:: \mathrm{bits\ per\ character} = \frac{-\sum_{i} \log_2 p(w_i \mid w_{<i})}{\text{characters}}
    = \frac{\text{bits per token}}{\text{characters per token}}

The end of a text counts as a token and as a character.

Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from refrain.training.data.corpus import TextCorpus
from refrain.training.reporting.progress_bar import progress_bar
from refrain.training.studies import spelling
from refrain.training.studies.figure import BLUE, GREEN, ORANGE, name_ends, panels
from refrain.training.studies.spelling import Vocabulary
from refrain.training.studies.texts import beginning
from refrain.training.studies.vocabulary_run import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"characters": BLUE, "words": ORANGE, "byte pairs": GREEN}


def measure(
    corpus: TextCorpus, *, num_characters: int, vocab_size: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Train one network a vocabulary on the same characters and measure it on the test texts.

    Returns
    -------
    dict
        For each kind its vocabulary, parameters, tokens and seconds; "curve": characters read and bits per character
        on a part of the validation texts; "bits_per_character" on the test texts, a number a seed.
    """
    figures: dict[str, Any] = {
        "settings": {
            "num_characters": num_characters,
            "vocab_size": vocab_size,
            "seeds": [*seeds],
        }
    }
    train = beginning(corpus.documents["train"], num_characters)
    with progress_bar(unit="step") as bar:
        for kind in KINDS:
            bar.set_description_str(kind, refresh=False)
            vocabulary = learn(kind, train, vocab_size)
            runs = [run(vocabulary, corpus, num_characters, seed, bar) for seed in seeds]
            facts = {"curve": runs[0]["curve"], **runs[0]["facts"]}
            figures[kind] = facts | {
                "bits_per_character": [each["bits_per_character"] for each in runs]
            }
    return figures


def learn(kind: str, texts: Sequence[str], vocab_size: int) -> Vocabulary:
    """Learn a vocabulary from training texts."""
    match kind:
        case "characters":
            return spelling.characters(texts)
        case "words":
            return spelling.words(texts, vocab_size)
        case _:
            return spelling.byte_pairs(texts, vocab_size)


def table(figures: dict[str, Any]) -> str:
    """Write what every vocabulary came to."""
    header = ("", "vocabulary", "characters/token", "bits/character", "seconds")
    lines = ["{:12}{:>12}{:>18}{:>16}{:>9}".format(*header)]
    for kind in KINDS:
        facts = figures[kind]
        lines.append(
            f"{kind:12}{facts['vocab_size']:12,}{facts['characters_per_token']:18.3f}"
            f"{fmean(facts['bits_per_character']):16.3f}{facts['seconds']:9}"
        )
    return "\n".join(lines)


def draw(figures: dict[str, Any]) -> Figure:
    """Draw bits per character while training."""
    figure, (axes,) = panels(width=7.6)
    ends = []
    for kind, colour in KINDS.items():
        facts = figures[kind]
        read, bits = zip(*facts["curve"], strict=True)
        axes.plot([number / 1e6 for number in read], bits, "o-", color=colour, markersize=4)
        name = f"{kind}, {facts['characters_per_token']:.2f} a token"
        ends.append(
            (
                read[-1] / 1e6,
                bits[-1],
                name.replace("characters, 1.00 a token", "characters"),
                colour,
            )
        )
    best = min(KINDS, key=lambda kind: fmean(figures[kind]["bits_per_character"]))
    axes.set(xlabel="characters of text read, millions", ylabel="bits per character, validation")
    axes.set_xlim(left=0)
    axes.set_title(f"After as many characters read, {best} need the fewest bits")
    name_ends(axes, ends)
    return figure
