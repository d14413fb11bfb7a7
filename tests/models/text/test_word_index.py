"""Words by their first letters, against a look at every token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.models.text.tokenizer import Tokenizer
from refrain.models.text.word_index import WordIndex
from tests.support.checkpoints import CHINESE, ENGLISH

WORDS = Tokenizer.train("words", [ENGLISH])
BYTES = Tokenizer.train("bpe", [ENGLISH + CHINESE])
INDICES = {tokenizer.kind: (tokenizer, WordIndex.of(tokenizer)) for tokenizer in (WORDS, BYTES)}


@pytest.mark.parametrize("kind", INDICES)
@settings(max_examples=60, deadline=None)
@given(letters=st.text("catheTson.\u00e9\u6625 ", max_size=4))
def test_the_index_finds_what_looking_at_every_token_finds(kind, letters) -> None:
    tokenizer, index = INDICES[kind]
    expected = [
        token_id
        for token_id in range(tokenizer.vocab_size)
        if token_id not in (tokenizer.unk_id, tokenizer.eos_id)
        and tokenizer.surface(token_id).lstrip(" ").startswith(letters)
    ]
    assert sorted(index.starting_with(letters)) == expected


def test_special_tokens_are_no_words() -> None:
    index = WordIndex.of(WORDS)
    assert len(index.starting_with("")) == WORDS.vocab_size - 2
    assert index.starting_with("<") == []
