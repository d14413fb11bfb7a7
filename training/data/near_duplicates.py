"""Splits by text that keep near-duplicates of the training texts out of validation and test."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from refrain.training.data.corpus import Example, Split

_NOT_A_LETTER = re.compile(r"\W+")
_END_OF_SENTENCE = re.compile(r"[.!?;:](?=[\s\"'”’)\]]|$)|\n")

MIN_LETTERS = 32
"""Letters of a sentence that is more than a phrase everybody uses; some seven words."""


def place_of(key: str) -> float:
    """Return a stable hash of a key, from 0 to 1."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def split_of(key: str, *, validation: float, test: float) -> Split:
    """Return the split of a text by a stable hash of its key: the given shares, the rest for training."""
    share = place_of(key)
    if share < validation:
        return "validation"
    return "test" if share < validation + test else "train"


def is_near_duplicate(clauses: Sequence[str], known: set[str]) -> bool:
    """Return whether a text shares two clauses, or a quarter of its own, with known texts."""
    shared = sum(clause in known for clause in clauses)
    return shared >= 2 or (shared > 0 and shared * 4 >= len(clauses))


def keep_apart(
    splits: Mapping[Split, Sequence[tuple[str, Sequence[str]]]],
) -> dict[Split, list[str]]:
    """Move to train every text of test or validation that is a near-duplicate of train, or of the other split.

    A text that moves may have near-duplicates of its own among those kept before it, so the splits are gone
    through again until nothing moves.

    Parameters
    ----------
    splits
        For each split its texts, each with its clauses.
    """
    kept = {split: list(texts) for split, texts in splits.items()}
    while _move_once(kept):
        pass
    return {split: [text for text, _ in texts] for split, texts in kept.items()}


def _move_once(kept: dict[Split, list[tuple[str, Sequence[str]]]]) -> bool:
    """Go through test, then validation, moving near-duplicates to train; return whether any moved."""
    num_train = len(kept["train"])
    known = _clauses(kept["train"])
    for split in ("test", "validation"):
        staying = []
        for text, clauses in kept[split]:
            if is_near_duplicate(clauses, known):
                kept["train"].append((text, clauses))
                known |= set(clauses)
            else:
                staying.append((text, clauses))
        kept[split] = staying
        known |= _clauses(staying)
    return len(kept["train"]) > num_train


def _clauses(texts: Iterable[tuple[str, Sequence[str]]]) -> set[str]:
    return {clause for _, clauses in texts for clause in clauses}


def without_held_out(
    examples: Mapping[Split, Sequence[Example]], *, num_letters: int | None = None
) -> dict[Split, list[Example]]:
    """Take out of train what validation or test hold too, and out of validation what test holds.

    Punctuation, spaces and capitals do not count.

    Parameters
    ----------
    num_letters
        Compare this many first letters only; None compares all of them.
    """
    keys = {
        split: {letters_of(example.text)[:num_letters] for example in each}
        for split, each in examples.items()
    }
    held_out = {
        "train": keys["validation"] | keys["test"],
        "validation": keys["test"],
        "test": set(),
    }
    return {
        split: [e for e in each if letters_of(e.text)[:num_letters] not in held_out[split]]
        for split, each in examples.items()
    }


def letters_of(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    return _NOT_A_LETTER.sub("", text).casefold()


def sentences_of(text: str) -> set[str]:
    """Cut prose to its sentences, as letters, without the short ones; a text of short ones alone is taken whole."""
    sentences = {letters_of(sentence) for sentence in _END_OF_SENTENCE.split(text)}
    long = {sentence for sentence in sentences if len(sentence) >= MIN_LETTERS}
    return long or ({letters_of(text)} - {""})


class HeldOutTexts:
    """Prose to measure on, kept by its sentences, to ask what is nearly the same and must not be learnt from.

    Two texts are near-duplicates if they share a quarter of the sentences of the shorter one. Two sentences are too
    few, unlike with a poem's clauses: speeches and manuals have formulas.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._num_sentences: list[int] = []
        self._places: dict[str, list[int]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Hold a text."""
        sentences = sentences_of(text)
        for sentence in sentences:
            self._places.setdefault(sentence, []).append(len(self._num_sentences))
        self._num_sentences.append(len(sentences))

    def has_near_duplicate_of(self, text: str) -> bool:
        """Return whether one of the texts held is a near-duplicate of this one."""
        sentences = sentences_of(text)
        shared = Counter(
            place for sentence in sentences for place in self._places.get(sentence, ())
        )
        return any(
            number * 4 >= min(len(sentences), self._num_sentences[place])
            for place, number in shared.items()
        )
