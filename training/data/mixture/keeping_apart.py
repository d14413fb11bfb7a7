"""Takes out of training and validation what some test holds, of this corpus or of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refrain.training.data.mixture.splitting import Splits
from refrain.training.data.near_duplicates import HeldOutTexts


def keep_sources_apart(
    splits: Mapping[str, Splits], other_tests: Mapping[str, Sequence[str]]
) -> dict[str, Splits]:
    """Return splits without the validation texts that are near-duplicates of a test, and the training texts of either.

    Tests stay whole, so that a figure on them does not depend on what else is at hand.

    Parameters
    ----------
    splits
        Of each source; a text is compared with the tests of all sources.
    other_tests
        Test texts of other corpora, by their names.
    """
    held = _tests(splits, other_tests)
    kept = {name: dict(each) for name, each in splits.items()}
    for split in ("validation", "train"):
        for each in kept.values():
            each[split] = [
                document
                for document in each[split]
                if not held.has_near_duplicate_of(document.text)
            ]
        for each in kept.values():
            for document in each["validation"]:
                held.add(document.text)
    return kept


def num_near_duplicates(
    splits: Mapping[str, Splits], other_tests: Mapping[str, Sequence[str]]
) -> int:
    """Return how many texts of training and validation are near-duplicates of a test."""
    held = _tests(splits, other_tests)
    return sum(
        held.has_near_duplicate_of(document.text)
        for each in splits.values()
        for split in ("train", "validation")
        for document in each[split]
    )


def _tests(splits: Mapping[str, Splits], other_tests: Mapping[str, Sequence[str]]) -> HeldOutTexts:
    held = HeldOutTexts(text for texts in other_tests.values() for text in texts)
    for each in splits.values():
        for document in each["test"]:
            held.add(document.text)
    return held
