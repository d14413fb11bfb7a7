"""Texts encoded by their pieces are those that the tokenizer encodes whole."""

import pytest

from refrain.models.text.piece_encoder import PieceEncoder
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import CHINESE, ENGLISH


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "whitespace"])
@pytest.mark.parametrize("text", [ENGLISH, CHINESE + ENGLISH, "", "the zebra  sat", " \n the"])
def test_a_text_by_its_pieces_has_the_ids_of_the_whole(kind, text) -> None:
    tokenizer = Tokenizer.train(kind, [ENGLISH])
    encoder, whole = PieceEncoder(tokenizer), tokenizer.encode(text)
    for _ in range(2):
        found = encoder.encode(text)
        assert [*found.ids] == whole.ids
        assert (found.offsets, found.num_unknown) == ([], whole.num_unknown)
