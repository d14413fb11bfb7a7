"""Pairs of sentences have the same words; an average cannot tell them apart, a recurrent network can."""

import numpy as np
import torch

from refrain.training.studies.sentences.batches import encode, number_words
from refrain.training.studies.sentences.encoders import (
    CELL_BUDGET,
    AverageClassifier,
    hidden_parameters,
    make_classifier,
)
from refrain.training.studies.sentences.pairs import SHOWN, Pair, split_pairs
from refrain.training.studies.word_order import ENCODERS, accuracy, first_meaning


def test_both_sentences_of_a_pair_have_the_same_words_in_another_order() -> None:
    train, test, shown = split_pairs(np.random.default_rng(0), 0.3)
    for pair in (*train, *test):
        one, other = pair.sentences
        assert one != other
        assert sorted(one) == sorted(other)
        assert pair.labels[1] == pair.labels[0] + 1
    assert ["".join(pair.sentences[0]) for pair in shown] == [
        text.replace(" ", "") for text in SHOWN
    ]


def test_training_sees_no_pair_of_the_test_but_every_word_of_it() -> None:
    train, test, shown = split_pairs(np.random.default_rng(0), 0.3)
    assert not set(train) & set(test)
    assert set(shown) <= set(test)
    words = [{word for pair in pairs for word in pair.sentences[0]} for pairs in (train, test)]
    assert words[1] <= words[0]


def test_the_average_gives_the_same_scores_for_any_order() -> None:
    torch.manual_seed(0)
    model = AverageClassifier(vocab_size=9, hidden_size=16, num_labels=4)
    tokens = torch.tensor([[0, 1, 2, 3, 8, 8], [0, 3, 1, 2, 8, 8], [0, 2, 3, 1, 5, 5]])
    scores = model(tokens, torch.tensor([4, 4, 4]))
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])


def test_a_recurrent_network_gives_others() -> None:
    _, test, shown = split_pairs(np.random.default_rng(0), 0.3)
    ids = number_words(test)
    for encoder in ("elman", "gru", "lstm"):
        scores = first_meaning(make_classifier(encoder, len(ids) + 1, seed=0), shown, ids)
        assert all(one != other for one, other in scores), encoder


def test_all_hidden_layers_have_about_as_many_parameters() -> None:
    sizes = [hidden_parameters(make_classifier(name, 9, seed=0)) for name in ENCODERS]
    assert max(sizes) < 1.1 * min(sizes), dict(zip(ENCODERS, sizes, strict=True))
    assert all(abs(size / CELL_BUDGET - 1) < 0.05 for size in sizes)


def test_sentences_are_numbered_and_padded() -> None:
    pairs = [Pair((("a", "b"), ("b", "a")), (0, 1)), Pair((("c",), ("c",)), (2, 3))]
    tokens, lengths, labels = encode(pairs, {"a": 1, "b": 2, "c": 3})
    assert tokens.tolist() == [[0, 1, 2], [0, 2, 1], [0, 3, 0], [0, 3, 0]]
    assert lengths.tolist() == [3, 3, 2, 2]
    assert labels.tolist() == [0, 1, 2, 3]


def test_every_meaning_counts_alike() -> None:
    pair, rare = Pair((("a", "b"), ("b", "a")), (0, 1)), Pair((("a",), ("b",)), (2, 3))

    def always_first(tokens, lengths):
        return torch.nn.functional.one_hot(torch.zeros(len(tokens), dtype=torch.long), 4).float()

    assert accuracy(always_first, [pair, pair, pair, rare], {"a": 1, "b": 2}) == 0.25
