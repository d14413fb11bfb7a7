"""The files of a tokenizer mean the same to other libraries."""

import json

import pytest
import tokenizers

from refrain.models.checkpoint.writing import SPECIAL_TOKENS
from refrain.models.text.tokenizer import Tokenizer

TEXT = "The cat's 3 hats, isn't it?\nA  hat, the CAT said: 春眠不觉晓。\n"
UNSEEN = "the Hat of a cat's dog:\t春 xyz\u3000<unk> e\u0301"
KINDS = ("characters", "words", "bpe", "whitespace")


def pair(kind: str) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    ours = Tokenizer.train(kind, [TEXT] * 3, vocab_size=300)
    return ours, tokenizers.Tokenizer.from_str(ours.to_json())


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokenizers_library_gives_the_same_ids_of_known_words(kind) -> None:
    ours, theirs = pair(kind)
    assert theirs.encode(TEXT).ids == ours.encode(TEXT).ids
    assert (theirs.token_to_id("<unk>"), theirs.token_to_id("<eos>")) == (0, 1)


@pytest.mark.parametrize("kind", ["characters", "bpe", "whitespace"])
def test_it_gives_the_same_ids_of_any_text(kind) -> None:
    ours, theirs = pair(kind)
    encoding = ours.encode(UNSEEN)
    assert theirs.encode(UNSEEN).ids == encoding.ids
    assert theirs.encode(UNSEEN).offsets == encoding.offsets


def test_words_differ_only_where_another_spelling_is_known() -> None:
    ours, theirs = pair("words")
    differing = {
        UNSEEN[start:end]: (theirs_id, ours.surface(ours_id))
        for ours_id, theirs_id, (start, end) in zip(
            ours.encode(UNSEEN).ids,
            theirs.encode(UNSEEN).ids,
            ours.encode(UNSEEN).offsets,
            strict=True,
        )
        if ours_id != theirs_id
    }
    assert differing == {"the": (0, " the"), " Hat": (0, " hat"), " a": (0, "A")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_transformers_library_loads_the_folder(tmp_path, kind) -> None:
    transformers = pytest.importorskip("transformers")
    ours, theirs = pair(kind)
    (tmp_path / "tokenizer.json").write_text(ours.to_json())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(SPECIAL_TOKENS))
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in (TEXT, UNSEEN.replace("<unk>", "?")):
        assert loaded(text)["input_ids"] == theirs.encode(text).ids
    assert (loaded.unk_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 1)
    known = ours.encode(TEXT).ids
    assert loaded.decode(known) == ours.decode(known)
