"""Text to ids and back: natural text survives, unknown words are flagged."""

import json

import pytest

from refrain.models.errors import TokenizerError
from refrain.models.text.tokenizer import Tokenizer

ENGLISH = (
    "The cat didn't sit on the mat. \"Hello,\" he said; it's 42 degrees, isn't it?\nO'Neill's café."
)
POEM = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。"


def trained(kind: str) -> Tokenizer:
    return Tokenizer.train(kind, [ENGLISH, POEM] * 2, vocab_size=400 if kind == "bpe" else 0)


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
@pytest.mark.parametrize("text", [ENGLISH, POEM, ""])
def test_natural_text_survives_a_round_trip(kind, text) -> None:
    tokenizer = trained(kind)
    encoding = tokenizer.encode(text)
    assert tokenizer.decode(encoding.ids) == text
    assert encoding.num_unknown == 0
    assert (
        "".join(tokenizer.surface(token_id) for token_id in encoding.ids) == text or kind == "bpe"
    )


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_offsets_cut_the_text_to_its_tokens(kind) -> None:
    encoding = trained(kind).encode(ENGLISH)
    covered = [False] * len(ENGLISH)
    for start, end in encoding.offsets:
        covered[start:end] = [True] * (end - start)
    assert all(covered)


def test_words_keep_clitics_and_punctuation_apart() -> None:
    tokenizer = trained("words")
    pieces = [tokenizer.surface(i) for i in tokenizer.encode("The cat didn't sit.").ids]
    assert pieces == ["The", " cat", " did", "n't", " sit", "."]


def test_an_unknown_word_is_flagged_and_one_of_another_case_is_found() -> None:
    tokenizer = trained("words")
    encoding = tokenizer.encode("the CAT zebra hello")
    pieces = [tokenizer.surface(i) for i in encoding.ids]
    assert pieces == [" the", " cat", "<unk>", "Hello"]
    assert encoding.num_unknown == 1
    assert encoding.offsets[2] == (7, 13)


def test_runs_of_spaces_are_one_space_with_offsets_of_the_original() -> None:
    encoding = trained("words").encode("The   cat")
    assert encoding.num_unknown == 0
    assert encoding.offsets == [(0, 3), (5, 9)]


def test_the_corpus_mark_of_an_unknown_word_is_the_unknown_token() -> None:
    tokenizer = Tokenizer.train("words", ["a <unk> b, a <unk> c"])
    assert tokenizer.encode("a <unk> b").ids[1] == tokenizer.unk_id
    pretokenized = Tokenizer.train("whitespace", ["a <unk> b"])
    assert pretokenized.encode("a <unk> zz").ids[1:] == [0, 0]


def test_rarer_words_and_words_past_the_limit_are_left_out() -> None:
    texts = ["a a a b b c"]
    assert Tokenizer.train("whitespace", texts, min_count=2).vocab_size == 4
    assert Tokenizer.train("whitespace", texts, vocab_size=3).vocab_size == 3


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "whitespace"])
def test_a_saved_tokenizer_encodes_the_same(kind) -> None:
    tokenizer = trained(kind)
    again = Tokenizer.from_json(tokenizer.to_json(), kind)
    assert again.encode(ENGLISH + POEM) == tokenizer.encode(ENGLISH + POEM)
    assert json.loads(tokenizer.to_json())["model"]


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "whitespace"])
def test_many_texts_are_encoded_as_each_is_alone(kind, monkeypatch) -> None:
    monkeypatch.setattr("refrain.models.text.tokenizer.TEXTS_AT_ONCE", 2)
    tokenizer = trained(kind)
    texts = [ENGLISH, "", POEM, "the zebra  sat", POEM + ENGLISH]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1.0"}'])
def test_a_broken_tokenizer_file_is_refused(text) -> None:
    with pytest.raises(TokenizerError):
        Tokenizer.from_json(text, "words")


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(TokenizerError, match="is it empty"):
        Tokenizer.train("characters", [""])
