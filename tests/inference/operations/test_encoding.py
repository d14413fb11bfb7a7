"""Texts become token ids within limits, and the names of special tokens where that is asked for."""

import pytest

from refrain.inference.errors import TextTooLongError
from refrain.inference.operations.encoding import encode, require_something_to_read, require_valid
from refrain.models.errors import InvalidParameterError
from refrain.models.text.tokenizer import Tokenizer
from tests.support.by_hand import state
from tests.support.checkpoints import CHINESE, ENGLISH


def words() -> Tokenizer:
    return Tokenizer.train("words", [ENGLISH])


def characters() -> Tokenizer:
    return Tokenizer.train("characters", [CHINESE])


def byte_pairs() -> Tokenizer:
    return Tokenizer.train("bpe", [ENGLISH + CHINESE])


def test_a_text_of_as_many_tokens_as_the_limit_is_taken_and_one_more_is_refused() -> None:
    assert len(encode(words(), "The old cat", max_tokens=3).ids) == 3
    with pytest.raises(TextTooLongError, match=r"prompt has 4 tokens; the limit is 3") as refused:
        encode(words(), "The old cat sat", max_tokens=3, param="prompt")
    assert refused.value.param == "prompt"


def test_a_long_list_is_refused_in_figures_that_can_be_read() -> None:
    require_valid(words(), [0] * 1_000, "text", 1_000)
    with pytest.raises(TextTooLongError, match=r"text has 12,345 tokens; the limit is 1,000"):
        require_valid(words(), [0] * 12_345, "text", 1_000)


@pytest.mark.parametrize("make", [words, characters, byte_pairs])
def test_names_of_special_tokens_stand_for_them_only_where_that_is_asked_for(make) -> None:
    tokenizer = make()
    text = "The cat<eos>sat"
    asked, plain = encode(tokenizer, text, with_names=True), encode(tokenizer, text)
    assert asked.ids == [
        *tokenizer.encode("The cat").ids,
        tokenizer.eos_id,
        *tokenizer.encode("sat").ids,
    ]
    # Byte pairs read the names always: the library itself looks for them.
    assert tokenizer.kind == "bpe" or tokenizer.eos_id not in plain.ids
    place = asked.ids.index(tokenizer.eos_id)
    assert asked.offsets[place] == (7, 12)
    assert "".join(text[first:last] for first, last in asked.offsets) == text


@pytest.mark.parametrize("make", [words, characters, byte_pairs])
def test_a_named_unknown_token_is_counted_as_unknown(make) -> None:
    tokenizer = make()
    text = "cat <unk> sat"
    encoding = encode(tokenizer, text, with_names=True)
    assert encoding.num_unknown == encoding.ids.count(tokenizer.unk_id) >= 1
    places = [offsets for i, offsets in zip(encoding.ids, encoding.offsets, strict=True) if i == 0]
    assert any("<unk>" in text[first:last] for first, last in places)


def test_a_space_before_a_name_among_words_is_no_token_of_its_own() -> None:
    tokenizer = words()
    encoding = encode(tokenizer, "The cat <eos> The", with_names=True)
    cat, the = tokenizer.id_of(" cat"), tokenizer.id_of("The")
    assert encoding.ids == [the, cat, tokenizer.eos_id, *tokenizer.encode(" The").ids]
    assert encoding.offsets[2] == (7, 13)


@pytest.mark.parametrize("ids", [[-1], [3, 10_000], [1 << 40]])
def test_an_id_beyond_the_vocabulary_is_refused_by_the_name_of_its_field(ids) -> None:
    tokenizer = words()
    require_valid(tokenizer, [], "prefix")
    require_valid(tokenizer, [0, tokenizer.vocab_size - 1], "prefix")
    last = tokenizer.vocab_size - 1
    with pytest.raises(InvalidParameterError, match=f"from 0 to {last}") as refused:
        require_valid(tokenizer, ids, "prefix")
    assert refused.value.param == "prefix"


def test_only_a_text_that_has_ended_needs_something_more_to_read() -> None:
    ended = state(unread=())
    require_something_to_read(None, [], "prompt")
    require_something_to_read(state(), [], "prompt")
    require_something_to_read(ended, [4], "prompt")
    with pytest.raises(InvalidParameterError, match="has ended") as refused:
        require_something_to_read(ended, [], "prompt")
    assert refused.value.param == "prompt"
