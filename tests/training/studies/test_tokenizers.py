"""Nothing is unknown, every text can be read back, and bits per character are counted right."""

import math

import pytest
import torch

from refrain.training.studies import spelling
from refrain.training.studies.spelling import SpellingVocabulary
from refrain.training.studies.texts import beginning
from refrain.training.studies.vocabulary_run import bits_per_character, make_model

TEXTS = ["酒店的早餐很丰富，酒店的位置不错。", "早餐不错，位置很好。"] * 3


def read_back(vocabulary, ids):
    return b"".join(vocabulary.tokens[token] for token in ids).decode()


@pytest.mark.parametrize("text", ["酒店很好", "鑫鑫 an unseen 🙂 line\n", ""])
def test_every_text_can_be_read_back(text) -> None:
    for vocabulary in (spelling.characters(TEXTS), spelling.words(TEXTS, 400)):
        assert read_back(vocabulary, vocabulary.encode(text)) == text
    byte_pairs = spelling.byte_pairs(TEXTS, 400)
    assert byte_pairs.decode(byte_pairs.encode_batch([text])[0]) == text


def test_a_lacking_word_is_its_characters_and_a_lacking_character_its_bytes() -> None:
    def cut(text):
        return text.split("|")

    vocabulary = SpellingVocabulary(cut, ["早餐|好", "早餐|好|餐餐"], max_pieces=1)
    tokens = [vocabulary.tokens[token].decode() for token in vocabulary.encode("早餐|餐早|好")]
    assert tokens == ["早餐", "餐", "早", "好"]
    assert [vocabulary.tokens[token] for token in vocabulary.encode("茶")] == [
        bytes([byte]) for byte in "茶".encode()
    ]


def test_a_rare_character_is_spelled_in_training_too() -> None:
    vocabulary = SpellingVocabulary(list, ["aab"], max_pieces=0)
    assert len(vocabulary.encode("a")) == 1
    assert vocabulary.vocab_size == 1 + 256 + 1
    assert vocabulary.encode("b") == [1 + ord("b")]


@pytest.mark.parametrize("stream", [True, False])
def test_bits_per_character_equal_a_count_by_hand(stream) -> None:
    vocabulary = spelling.words(TEXTS, 400)
    model = make_model(vocabulary.vocab_size, seed=0).eval()
    documents = ["酒店很好", "鑫"]
    bits, state = 0.0, model.zero_state(1)
    with torch.no_grad():
        for document in documents:
            if not stream:
                state = model.zero_state(1)
            before = vocabulary.eos_id
            for token in (*vocabulary.encode(document), vocabulary.eos_id):
                logits, state = model(torch.tensor([[before]]), state)
                bits -= logits[0, 0].log_softmax(0)[token].item() / math.log(2)
                before = token
    found = bits_per_character(model, vocabulary, documents, stream=stream)
    assert found == pytest.approx(bits / (4 + 1 + 1 + 1), rel=1e-5)


def test_a_network_that_knows_nothing_needs_the_logarithm_of_its_vocabulary() -> None:
    vocabulary = spelling.characters(["ab"] * 2)
    model = make_model(vocabulary.vocab_size, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    found = bits_per_character(model, vocabulary, ["abab"], stream=False)
    assert found == pytest.approx(math.log2(1 + 256 + 2))


def test_a_beginning_is_whole_documents_and_never_empty() -> None:
    assert beginning(["abc", "de", "f"], 4) == ["abc", "de"]
    assert beginning(["abcdef"], 4) == ["abcd"]
