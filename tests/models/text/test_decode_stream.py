"""Token ids to text piece by piece, and where in it each of them stands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.models.text.decode_stream import DecodeStream, cut_blanks, spell
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import CHINESE, ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
CHARACTERS = Tokenizer.train("characters", [CHINESE + ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH + CHINESE])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=20)
"""Texts without the name of a special token, which byte pairs read as that token."""


def test_whitespace_words_are_joined_by_spaces_also_as_a_stream() -> None:
    tokenizer = Tokenizer.train("whitespace", ["a b don't"])
    ids = tokenizer.encode("a don't b").ids
    stream = DecodeStream(tokenizer)
    assert "".join(stream.push([token_id]) for token_id in ids) == "a don't b"
    assert tokenizer.decode(ids) == "a don't b"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_stream_of_bytes_never_shows_half_a_character(text) -> None:
    stream = DecodeStream(BYTES)
    pieces = [stream.push([token_id]) for token_id in BYTES.encode(text).ids]
    if "<eos>" not in text and "<unk>" not in text:
        assert "".join(pieces) == text
        if "\ufffd" not in text:
            assert all("\ufffd" not in piece for piece in pieces)


def test_bytes_that_are_no_text_come_out_of_a_stream_as_out_of_a_whole_decoding() -> None:
    tokenizer = Tokenizer.train("bpe", ["abc 中"], vocab_size=300)
    ids = {tokenizer.bytes_of(i): i for i in range(2, tokenizer.vocab_size)}
    broken = [ids[bytes([byte])] for byte in b"\xe4\xe4\xe4" + "中a".encode() + b"\xff\xf0\x9f"]
    stream = DecodeStream(tokenizer)
    text = "".join(stream.push([token_id]) for token_id in broken) + stream.finish()
    assert text == "\ufffd" * 3 + "中a\ufffd\ufffd"
    whole = DecodeStream(tokenizer)
    assert whole.push(broken) + whole.finish() == text


def test_words_split_by_white_space_are_kept_apart_from_what_came_before() -> None:
    tokenizer = Tokenizer.train("whitespace", ["the cat sat"])
    ids = tokenizer.encode("sat").ids
    assert DecodeStream(tokenizer, follows_text=True).push(ids) == " sat"
    assert DecodeStream(tokenizer).push(ids) == "sat"


def test_the_end_of_a_text_spells_nothing() -> None:
    text, offsets = spell(WORDS, [WORDS.eos_id, *WORDS.encode("The cat").ids, WORDS.eos_id])
    assert text == "The cat"
    assert offsets == [(0, 0), (0, 3), (3, 7), (7, 7)]


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_spelling_the_ids_of_a_text_of_bytes_is_the_text_with_offsets_of_each_token(text) -> None:
    ids = BYTES.encode(text).ids
    spelled, offsets = spell(BYTES, ids)
    assert spelled == text
    assert len(offsets) == len(ids)
    assert "".join(text[first:last] for first, last in offsets) == text


def test_half_a_character_at_the_end_of_ids_is_spelled_as_one_that_is_broken() -> None:
    ids = BYTES.encode("é").ids
    assert len(ids) == 2
    assert spell(BYTES, ids[:1])[0] == "\ufffd"


@pytest.mark.parametrize(
    ("text", "shorter", "is_cut"),
    [
        ("The cat ", "The cat", True),
        ("The cat \t\u00a0", "The cat", True),
        ("The cat", "The cat", False),
        ("The cat\n", "The cat\n", False),
        ("The cat\n ", "The cat\n", True),
        ("  ", "", True),
        ("", "", False),
    ],
)
def test_blanks_at_the_end_belong_to_the_word_to_come(text, shorter, is_cut) -> None:
    assert cut_blanks(WORDS, text) == (shorter, is_cut)
    assert cut_blanks(CHARACTERS, text) == (text, False)
    assert cut_blanks(BYTES, text) == (text, False)
