"""Text in pieces: the same tokens and counts as in one piece, in memory that does not grow."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.models.text import pieces as module
from refrain.models.text.pieces import PieceMemo, count_tokens, last_border, pieces, pieces_by_block
from refrain.models.text.tokenizer import Tokenizer

SIGNS = st.sampled_from(
    [*"aB'nt cafésé4 \n\t\r\u00a0\u3000\x1c\x85.,<床é", "n't", "<unk>", "<eos>"]
)
TEXTS = st.lists(SIGNS, max_size=40).map("".join)
KINDS = ["characters", "words", "bpe", "whitespace"]
LEARNT = {
    kind: Tokenizer.train(kind, ["a cafés ain't 4 B's.\n\n床 <unk>t"] * 2, vocab_size=300)
    for kind in KINDS
}


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
@settings(max_examples=150, deadline=None)
def test_a_text_in_pieces_has_the_ids_of_the_whole(kind, text) -> None:
    tokenizer = LEARNT[kind]
    (found,) = tokenizer.encode_blocks([text])
    assert found.tolist() == tokenizer.encode(text).ids


@given(text=TEXTS)
def test_pieces_put_one_behind_the_other_are_the_text(text) -> None:
    assert "".join(pieces(text, by_character=False)) == text


@pytest.mark.parametrize("by_character", [False, True])
@pytest.mark.parametrize("block", [3, 7, 1_000])
@given(words=st.lists(st.sampled_from(["a", "bc"]), max_size=30))
def test_a_text_cut_block_by_block_has_the_pieces_of_the_whole(block, by_character, words) -> None:
    text = " ".join(words)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "BLOCK", block)
        found = [*pieces_by_block(text, by_character=by_character)]
    assert found == [*pieces(text, by_character=by_character)]


def test_a_memo_answers_long_pieces_and_never_grows_past_its_bound(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    looked: list[str] = []
    memo = PieceMemo(lambda piece: (looked.append(piece) or len(piece),))
    long = "x" * 100
    asked = ["a", "bb", "a", "ccc", "dddd", "a", long, long]
    assert list(memo.over(asked)) == [1, 2, 1, 3, 4, 1, 100, 100]
    assert looked == ["a", "bb", "ccc", "dddd", long, long]
    assert list(memo) == ["dddd", "a"]
    list(memo.over("efghijkl"))
    assert list(memo.over(["a"])) == [1]
    assert looked[-1] == "a"


def test_rare_tokens_are_forgotten_when_there_are_too_many(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED", 10)
    monkeypatch.setattr(module, "CHARACTERS_BETWEEN_CHECKS", 100)
    texts = (f"the cat {n} once{n} " for n in range(1000))
    counts = count_tokens(texts, lambda text: tuple(text.split()), by_character=False)
    assert counts["the"] == counts["cat"] == 1000
    assert len(counts) < 40


def test_counts_in_pieces_are_those_of_the_whole() -> None:
    text = "the cat sat\n on the   mat"
    counts = count_tokens([text], lambda piece: tuple(piece.split()), by_character=False)
    assert counts == Counter(text.split())


def test_the_last_border_stands_before_white_space() -> None:
    text = "床前\n\n the cat \n"
    assert text[: last_border(text)] == "床前\n\n the cat"
    assert last_border("no_space_at_all") == len("no_space_at_all")
