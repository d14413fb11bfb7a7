"""Words scored one by one are the text scored at once, and a beam search over them finds the best text."""

import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.inference.local import LocalModel
from refrain.inference.local.word_scorer import NATS_PER_LOG10, WordScorer
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.errors import InvalidParameterError
from tests.support.checkpoints import CHINESE
from tests.support.reference import target_log_probs

PLAIN = {"alpha": 1.0, "beta": 0.0, "unk_score_offset": 0.0}
WORDS = ["The", "cat", "didn't", "sat", "zebra", "it.", "café", "xylophone's", "1910"]


def sum_of_scores(scorer: WordScorer, words: list[str]) -> float:
    state, total = scorer.get_start_state(), 0.0
    for place, word in enumerate(words, 1):
        score, state = scorer.score(state, word, is_last_word=place == len(words))
        total += score
    return total


@pytest.fixture(scope="module")
def models(checkpoints) -> dict[str, LocalModel]:
    return {name: LocalModel(checkpoints / name) for name in ("english", "bytes", "tang", "counts")}


@pytest.mark.parametrize("model", ["english", "bytes", "tang", "counts"])
@pytest.mark.parametrize("count_end", [False, True])
def test_the_scores_of_the_words_add_up_to_that_of_the_text(models, model, count_end) -> None:
    words = [*CHINESE[:12]] if model == "tang" else WORDS
    text = ("" if model == "tang" else " ").join(words)
    (expected,) = models[model].score_all([text], ScoreParams(count_end=count_end))
    scorer = WordScorer(models[model], **PLAIN, score_boundary=count_end)
    assert sum_of_scores(scorer, words) == pytest.approx(expected.log_likelihood, rel=1e-6)


@pytest.mark.parametrize("model", ["english", "bytes"])
def test_the_scores_are_those_of_the_network_itself(checkpoints, model) -> None:
    local = LocalModel(checkpoints / model, precision="fp32")
    words = WORDS[1:4]
    targets = [*local.tokenizer.encode(" ".join(words)).ids, local.tokenizer.eos_id]
    expected = sum(target_log_probs(local.checkpoint, targets))
    found = sum_of_scores(WordScorer(local, **PLAIN), words)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found / NATS_PER_LOG10 == pytest.approx(expected / math.log(10), rel=1e-5)


@pytest.mark.parametrize("model", ["english", "bytes", "tang"])
@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), min_size=1))
def test_words_one_by_one_are_cut_as_the_text_is(models, model, words) -> None:
    scorer = WordScorer(models[model])
    one_by_one = [i for place, w in enumerate(words) for i in scorer._encode(w, is_first=not place)]
    whole = scorer._tokenizer.encode(scorer._separator.join(words)).ids
    assert one_by_one == whole


def test_weights_and_offsets_have_their_units(models) -> None:
    scorer = WordScorer(models["english"], **PLAIN)
    plain, _ = scorer.score(None, "zebra")
    scorer.reset_params(alpha=0.5, beta=2.0, unk_score_offset=-3.0, score_boundary=None)
    weighted, _ = scorer.score(None, "zebra")
    assert weighted == pytest.approx(0.5 * (plain - 3 * math.log(10)) + 2)
    known, _ = scorer.score(None, "The")
    scorer.reset_params(**PLAIN)
    assert known == pytest.approx(0.5 * scorer.score(None, "The")[0] + 2)
    with pytest.raises(InvalidParameterError, match="gamma"):
        scorer.reset_params(gamma=1.0)


def test_a_word_under_way_is_doubted_once_no_known_word_begins_so(models) -> None:
    scorer = WordScorer(models["english"])
    for whole in ("cat", "didn't", "lovely", "CAT", "mat."):
        for end in range(1, len(whole) + 1):
            assert scorer.score_partial_token(whole[:end]) == 0, whole[:end]
    assert scorer.score_partial_token("zeb") == -10
    assert scorer.score_partial_token("zebrazebra'") == pytest.approx(-10 * 11 / 6)
    assert WordScorer(models["bytes"]).score_partial_token("zeb") == 0


def test_only_an_n_gram_lets_histories_become_one(models) -> None:
    assert WordScorer(models["counts"]).order == 3
    assert WordScorer(models["english"]).order == sys.maxsize
    assert WordScorer(models["english"], order=4).order == 4


def test_states_that_were_forgotten_are_found_again(models) -> None:
    forgetful = WordScorer(models["english"], **PLAIN, cache_bytes=0)
    mindful = WordScorer(models["english"], **PLAIN)
    texts = [list(words) for words in itertools.permutations(WORDS[:4])]
    for words in texts + texts:
        assert sum_of_scores(forgetful, words) == sum_of_scores(mindful, words)
    assert forgetful._after.cache_info().currsize == 16


def test_a_beginning_that_was_seen_before_is_not_read_again(models) -> None:
    scorer = WordScorer(models["english"], **PLAIN)
    for last in ("cat", "dog", "mat", "day"):
        sum_of_scores(scorer, ["The", "old", last])
    assert (
        scorer._after.cache_info().misses == 3 + 4
    )  # "", "The", "The old", and the ends of four texts


def test_what_is_saved_is_loaded_as_it_was(checkpoints, tmp_path) -> None:
    scorer = WordScorer.load(checkpoints / "bytes", alpha=0.7, beta=-0.25, order=5)
    scorer.save_to_dir(tmp_path)
    again = WordScorer.load_from_dir(tmp_path)
    assert (again.alpha, again.beta, again.order) == (0.7, -0.25, 5)
    assert sum_of_scores(again, WORDS) == sum_of_scores(scorer, WORDS)
    with pytest.raises(InvalidParameterError, match="load"):
        WordScorer(LocalModel(checkpoints / "bytes")).save_to_dir(tmp_path)


LETTERS = "_ adt"
"""What a recogniser of these tests can hear: nothing, a space, and three letters."""


def collapse(path: tuple[int, ...]) -> str:
    heard = [sign for sign, _ in itertools.groupby(path)]
    return "".join(LETTERS[sign] for sign in heard if sign)


def language_score(scorer: WordScorer, text: str) -> float:
    return sum_of_scores(scorer, text.split()) if text.split() else 0.0


def best_by_trying_all(scorer: WordScorer, probs_TS: np.ndarray) -> tuple[str, float]:
    """Sum the paths of every text there can be."""
    totals: dict[str, float] = {}
    for path in itertools.product(range(len(LETTERS)), repeat=len(probs_TS)):
        probability = math.prod(row[sign] for row, sign in zip(probs_TS, path, strict=True))
        text = collapse(path)
        totals[text] = totals.get(text, 0.0) + probability
    scores = {text: math.log(p) + language_score(scorer, text) for text, p in totals.items()}
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]


def best_by_beams(scorer: WordScorer, probs_TS: np.ndarray, width: int) -> tuple[str, float]:
    """Search prefixes (Graves & Jaitly 2014), each with the probability that it ends in a blank, and that it does not.

    The language model scores a word as soon as a space ends it, from the state of the words before.
    """
    beams = {"": (1.0, 0.0)}
    known = {"": (0.0, scorer.get_start_state())}

    def settled(text: str) -> float:
        """Return the score of the words that are whole."""
        head, _, _ = text.rpartition(" ")
        if head not in known:
            before, _, word = head.rpartition(" ")
            so_far, state = settled(f"{before} "), known[before][1]
            if word:
                score, state = scorer.score(state, word)
                so_far += score
            known[head] = (so_far, state)
        return known[head][0]

    for probs_S in probs_TS:
        grown: dict[str, list[float]] = {}
        for text, (blank, sign) in beams.items():
            for place, probability in enumerate(probs_S):
                letter = LETTERS[place]
                if place == 0:
                    grown.setdefault(text, [0.0, 0.0])[0] += (blank + sign) * probability
                elif text.endswith(letter):
                    grown.setdefault(text, [0.0, 0.0])[1] += sign * probability
                    grown.setdefault(text + letter, [0.0, 0.0])[1] += blank * probability
                else:
                    grown.setdefault(text + letter, [0.0, 0.0])[1] += (blank + sign) * probability
        alive = {text: tuple(pair) for text, pair in grown.items() if sum(pair)}
        ranked = sorted(alive, key=lambda t: -(math.log(sum(alive[t])) + settled(t)))
        beams = {text: alive[text] for text in ranked[:width]}
    scores = {t: math.log(sum(p)) + language_score(scorer, t) for t, p in beams.items()}
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]


@pytest.mark.parametrize("model", ["english", "bytes"])
def test_a_beam_search_finds_what_trying_every_text_finds(models, model) -> None:
    scorer = WordScorer(models[model], alpha=0.8, beta=0.5, unk_score_offset=-1.0)
    generator = np.random.default_rng(4)
    for _ in range(3):
        probs_TS = generator.dirichlet(np.full(len(LETTERS), 0.5), size=5)
        expected, score = best_by_trying_all(scorer, probs_TS)
        found = best_by_beams(scorer, probs_TS, width=10_000)
        assert found == (expected, pytest.approx(score))
        _, narrow = best_by_beams(scorer, probs_TS, width=8)
        assert narrow <= score + 1e-9


def test_pyctcdecode_itself_can_decode_with_it(models) -> None:
    pyctcdecode = pytest.importorskip("pyctcdecode", reason="it asks for NumPy 1")
    scorer = WordScorer(models["english"], **PLAIN)
    labels = ["", *" acdhot"]
    decoder = pyctcdecode.BeamSearchDecoderCTC(pyctcdecode.Alphabet.build_alphabet(labels), scorer)
    heard = [labels.index(letter) if letter in labels else 0 for letter in "cat  dot"]
    logits = np.full((len(heard), len(labels)), -8.0)
    logits[range(len(heard)), heard] = 0.0
    (best, *_) = decoder.decode_beams(logits)
    assert best[0] == "cat dot"
    acoustic, total = best[3], best[4]
    assert total - acoustic == pytest.approx(sum_of_scores(scorer, ["cat", "dot"]))
