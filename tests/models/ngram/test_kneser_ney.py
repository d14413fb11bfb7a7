"""Interpolated modified Kneser-Ney against a slow twin in dictionaries, and its promises."""

import math
import os
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.models.config import NGramConfig
from refrain.models.errors import ConfigError, StateError
from refrain.models.ngram.kneser_ney import KneserNeyModel

V, UNK, EOS = 40, 0, 1
ORDERS = (1, 2, 3, 4, 5)

CAROLL = """alice was beginning to get very tired of sitting by her sister on the bank and of having
nothing to do once or twice she had peeped into the book her sister was reading but it had no
pictures or conversations in it and what is the use of a book thought alice without pictures or
conversations so she was considering in her own mind as well as she could for the hot day made her
feel very sleepy and stupid whether the pleasure of making a daisy chain would be worth the trouble
of getting up and picking the daisies when suddenly a white rabbit with pink eyes ran close by her
there was nothing so very remarkable in that nor did alice think it so very much out of the way to
hear the rabbit say to itself oh dear oh dear i shall be late when she thought it over afterwards it
occurred to her that she ought to have wondered at this but at the time it all seemed quite natural
but when the rabbit actually took a watch out of its waistcoat pocket and looked at it and then
hurried on alice started to her feet for it flashed across her mind that she had never before seen a
rabbit with either a waistcoat pocket or a watch to take out of it and burning with curiosity she
ran across the field after it and fortunately was just in time to see it pop down a large rabbit hole
under the hedge"""


class DictionaryKneserNey:
    """Chen & Goodman 1998 word for word: tuples in dictionaries, sentences inside <s> and </s>."""

    def __init__(self, documents, order, vocab_size):
        self.order, self.vocab_size = order, vocab_size
        raw = [Counter() for _ in range(order + 1)]
        for document in documents:
            words = ("<s>", *document, "</s>")
            for n in range(1, order + 1):
                for start in range(len(words) - n + 1):
                    raw[n][words[start : start + n]] += 1
        del raw[1][("<s>",)]
        self.counts = [Counter() for _ in range(order + 1)]
        self.counts[order] = raw[order]
        for n in range(1, order):
            for ngram in raw[n + 1]:
                self.counts[n][ngram[1:]] += 1
            for ngram, count in raw[n].items():
                if ngram[0] == "<s>":
                    self.counts[n][ngram] = count
        self.discounts = [None, *(self.discounts_of(n) for n in range(1, order + 1))]
        self.followers = defaultdict(dict)
        for n in range(1, order + 1):
            for ngram, count in self.counts[n].items():
                self.followers[ngram[:-1]][ngram[-1]] = count

    def discounts_of(self, n):
        histogram = Counter(self.counts[n].values())
        n1, n2, n3, n4 = (histogram[size] for size in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return {1: 0.5, 2: 1.0, 3: 1.5}
        y = n1 / (n1 + 2 * n2)
        d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        if not (0 < d1 <= 1 and 0 < d2 <= 2 and 0 < d3 <= 3):
            return {1: 0.5, 2: 1.0, 3: 1.5}
        return {1: d1, 2: d2, 3: d3}

    def prob(self, word, history):
        shorter = self.prob(word, history[1:]) if history else 1 / self.vocab_size
        followers = self.followers.get(history)
        if not followers:
            return shorter
        discount = self.discounts[len(history) + 1]
        total = sum(followers.values())
        backoff = sum(discount[min(count, 3)] for count in followers.values()) / total
        count = followers.get(word, 0)
        kept = count - discount[min(count, 3)] if count else 0
        return kept / total + backoff * shorter

    def log_probs(self, document):
        words = ("<s>", *document, "</s>")
        reach = self.order - 1
        return [
            math.log(self.prob(words[i], words[max(0, i - reach) : i]))
            for i in range(1, len(words))
        ]


def phrases(seed, num_documents):
    """Documents of phrases, so that long n-grams repeat; tokens 38 and 39 never come."""
    rng = random.Random(seed)
    known = random.Random(7)
    stock = [
        tuple(2 + int(36 * known.random() ** 2) for _ in range(known.randint(1, 5)))
        for _ in range(60)
    ]
    return [
        [token for _ in range(rng.randint(0, 6)) for token in stock[int(60 * rng.random() ** 2)]]
        for _ in range(num_documents)
    ]


def carroll():
    lines = [line.split() for line in CAROLL.split("\n")]
    ids = {word: index for index, word in enumerate(sorted({w for line in lines for w in line}), 2)}
    return [[ids[word] for word in line] for line in lines], len(ids) + 2


def estimate(documents, order, vocab_size=V):
    return KneserNeyModel.estimate(documents, NGramConfig(vocab_size=vocab_size, order=order))


def framed(document):
    return np.array([EOS, *document, EOS])


def histories_after(model, tokens):
    return model.read(torch.tensor([tokens]), model.zero_state(1))[0][0]


@pytest.mark.parametrize("order", ORDERS)
def test_scores_equal_those_of_the_dictionaries_on_made_up_phrases(order):
    train = phrases(0, 400)
    model, twin = estimate(train, order), DictionaryKneserNey(train, order, V)
    assert order == 1 or twin.discounts[order] != {1: 0.5, 2: 1.0, 3: 1.5}
    for document in [*phrases(1, 30), [UNK, 39, 2, UNK], []]:
        np.testing.assert_allclose(
            model.target_log_probs(framed(document)), twin.log_probs(document), atol=1e-6
        )


@pytest.mark.parametrize("order", ORDERS)
def test_scores_equal_those_of_the_dictionaries_on_natural_text(order):
    documents, vocab_size = carroll()
    model = estimate(documents[:-3], order, vocab_size)
    twin = DictionaryKneserNey(documents[:-3], order, vocab_size)
    for document in documents:
        np.testing.assert_allclose(
            model.target_log_probs(framed(document)), twin.log_probs(document), atol=1e-6
        )


@pytest.mark.parametrize("order", ORDERS)
def test_whole_distributions_equal_those_of_the_dictionaries(order):
    train = phrases(0, 400)
    model, twin = estimate(train, order), DictionaryKneserNey(train, order, V)
    for document in ([], [39, 38, 39, 38], *phrases(2, 8)):
        log_probs_V = model.logits(histories_after(model, [EOS, *document])[-1:])[0]
        history = ("<s>", *document)[max(0, len(document) + 2 - order) :]
        expected = [twin.prob("</s>" if token == EOS else token, history) for token in range(V)]
        np.testing.assert_allclose(log_probs_V.exp().numpy(), expected, rtol=2e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_scores_of_targets_equal_the_logits(order):
    model = estimate(phrases(0, 300), order)
    tokens = [EOS]
    for document in [*phrases(3, 20), [UNK, 39], []]:
        tokens += [*document, EOS]
    log_probs_TV = model.logits(histories_after(model, tokens[:-1]))
    expected = log_probs_TV.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    np.testing.assert_allclose(model.target_log_probs(np.array(tokens)), expected, atol=2e-6)


@given(
    documents=st.lists(st.lists(st.sampled_from([0, 2, 3, 4]), max_size=6), max_size=6),
    history=st.lists(st.integers(0, 5), max_size=6),
    order=st.sampled_from(ORDERS),
)
@settings(max_examples=100, deadline=None)
def test_any_corpus_gives_distributions_that_sum_to_one(documents, history, order):
    model = estimate(documents, order, vocab_size=6)
    histories_NW = histories_after(model, [EOS, *history])
    log_probs_NV = model.logits(histories_NW)
    assert log_probs_NV.dtype == torch.float32
    assert torch.isfinite(log_probs_NV).all()
    np.testing.assert_allclose(log_probs_NV.double().exp().sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_seen_unseen_boundary_and_empty_histories_sum_to_one(order):
    model = estimate(phrases(0, 400), order)
    seen = histories_after(model, [EOS, *phrases(0, 5)[-1]])
    unseen = histories_after(model, [39, UNK, 38, 39])
    nothing = model.zero_state(1).layers[0][0]
    log_probs_NV = model.logits(torch.cat((seen, unseen, nothing)))
    np.testing.assert_allclose(log_probs_NV.double().exp().sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "documents", [[], [[]], [[2]], [[], [], []], [[2, 3, 4, 5, 6, 7]], [[2] * 50]]
)
@pytest.mark.parametrize("order", ORDERS)
def test_tiny_corpora_give_every_token_a_probability(documents, order):
    model = estimate(documents, order)
    tokens = [EOS, 2, 3, 2, 2, EOS, EOS, 4]
    log_probs_TV = model.logits(histories_after(model, tokens[:-1]))
    assert torch.isfinite(log_probs_TV).all()
    np.testing.assert_allclose(log_probs_TV.double().exp().sum(1), 1, atol=1e-6)
    expected = log_probs_TV.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    np.testing.assert_allclose(model.target_log_probs(np.array(tokens)), expected, atol=2e-6)


def test_an_unknown_token_never_seen_has_the_probability_of_any_token_never_seen():
    log_probs_V = estimate(phrases(0, 100), 3).logits(torch.tensor([[-1, EOS]]))[0]
    assert log_probs_V[UNK] == log_probs_V[38] == log_probs_V[39]


@pytest.mark.parametrize("order", ORDERS)
def test_reading_in_pieces_equals_reading_at_once(order):
    model = estimate(phrases(0, 50), order)
    rng = np.random.default_rng(0)
    tokens_BT = torch.from_numpy(rng.integers(0, 6, (3, 20)))
    whole_BTW, end = model.read(tokens_BT, model.zero_state(3))
    state, pieces = model.zero_state(3), []
    for start, stop in ((0, 1), (1, 2), (2, 9), (9, 9), (9, 20)):
        features_BTW, state = model.read(tokens_BT[:, start:stop], state)
        pieces.append(features_BTW)
    assert whole_BTW.shape == (3, 20, order - 1)
    assert torch.equal(torch.cat(pieces, 1), whole_BTW)
    assert torch.equal(state.layers[0], end.layers[0])


def test_reading_leaves_the_given_state_as_it_was():
    model = estimate(phrases(0, 50), 3)
    state = model.zero_state(1)
    features_BTW, after = model.read(torch.tensor([[5, 6]]), state)
    after.layers[0].fill_(9)
    assert state.layers[0].tolist() == [[[-1, -1]]]
    assert features_BTW.tolist() == [[[-1, 5], [5, 6]]]


def test_a_history_reaches_back_to_the_last_boundary_only():
    model = estimate(phrases(0, 50), 5)
    after_text = histories_after(model, [EOS, 5, 6, EOS])[-1:]
    at_start = histories_after(model, [EOS])[-1:]
    assert after_text.tolist() == [[-1, -1, -1, EOS]]
    assert torch.equal(after_text, at_start)
    joined = model.target_log_probs(np.array([EOS, 5, 6, EOS, 7, 8, EOS]))
    apart = [model.target_log_probs(framed(document)) for document in ([5, 6], [7, 8])]
    np.testing.assert_array_equal(joined, np.concatenate(apart))


def test_a_boundary_inside_a_document_divides_it_in_two():
    joined, apart = estimate([[5, 6, EOS, 7]], 4), estimate([[5, 6], [7]], 4)
    for name, tensor in apart.tensors().items():
        assert torch.equal(joined.tensors()[name], tensor)


def test_the_rows_of_a_batch_equal_the_same_rows_alone():
    model = estimate(phrases(0, 300), 4)
    histories_NW = histories_after(model, [EOS, *phrases(4, 1)[0], 39, 2, 3])
    together = model.logits(histories_NW)
    alone = torch.cat([model.logits(history[None]) for history in histories_NW])
    assert torch.equal(together, alone)


def test_a_state_goes_through_bytes():
    model = estimate(phrases(0, 50), 4)
    _, state = model.read(torch.tensor([[EOS, 5], [6, 7]]), model.zero_state(2))
    again = type(state).from_bytes(state.to_bytes(), model.state_shapes, num_rows=2)
    assert torch.equal(again.layers[0], state.layers[0])


def test_progress_tells_each_length_and_its_number_of_ngrams():
    reported = []
    config = NGramConfig(vocab_size=V, order=3)
    model = KneserNeyModel.estimate(
        [[2, 3, 2, 3], [2]], config, lambda length, number: reported.append((length, number))
    )
    assert reported == [(1, 3), (2, 5), (3, 5)]
    assert model.num_ngrams == (3, 5, 5)


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(ConfigError, match="token id 40 lies outside"):
        estimate([[2, 40]], 3)
    model = estimate([[2, 3]], 3)
    with pytest.raises(StateError, match="vocabulary of 40"):
        model.target_log_probs(np.array([EOS, 40]))
    with pytest.raises(StateError, match="vocabulary of 40"):
        model.logits(torch.tensor([[-2, 3]]))
    with pytest.raises(StateError, match="has 2 tokens, not 4"):
        model.logits(torch.zeros((1, 4), dtype=torch.int64))


PENN_TREEBANK = Path(os.environ.get("REFRAIN_DATA", "~/.cache/refrain")).expanduser() / "ptb"


@pytest.mark.skipif(
    not PENN_TREEBANK.is_dir(), reason="Penn Treebank is not in the folder REFRAIN_DATA"
)
def test_the_5_gram_perplexity_of_penn_treebank_is_near_the_published_141():
    ids = defaultdict(lambda: len(ids), {"<unk>": UNK, "<eos>": EOS})
    train, test = (
        [
            [ids[word] for word in line.split()]
            for line in (PENN_TREEBANK / f"ptb.{split}.txt").read_text("utf-8").splitlines()
        ]
        for split in ("train", "test")
    )
    assert len(ids) == 10_000
    model = estimate(train, 5, vocab_size=len(ids))
    tokens = np.concatenate([[EOS], *([*document, EOS] for document in test)])
    assert len(tokens) - 1 == 82_430
    assert math.exp(-model.target_log_probs(tokens).mean()) == pytest.approx(141, abs=4)
