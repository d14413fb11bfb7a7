"""A person's own text: split, given a recipe, turned to tokens that are kept."""

import json

import numpy as np
import pytest

from refrain.models.checkpoint import load_checkpoint
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.data import own_text, text_file, text_tokens
from refrain.training.data.corpus import hash_of
from refrain.training.data.own_text import own_text_corpus, recipe_for_text, split_file
from refrain.training.data.text_file import TextFile
from refrain.training.data.text_tokens import tokenizer_of, tokens_of
from refrain.training.errors import CorpusError, EmptyCorpusError, RecipeError
from refrain.training.recipe.corpus import TokenizerRecipe
from refrain.training.recipe.parsing import make_recipe
from refrain.training.run.train import train
from refrain.training.setup import ngram


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> TextFile:
        (tmp_path / "a.txt").write_text(text, "utf-8")
        return TextFile.scan(tmp_path / "a.txt")

    return write


def test_the_parts_of_a_split_follow_one_another_at_line_borders(write) -> None:
    text = "".join(f"line number {n}\n" for n in range(400))
    parts = [part.read() for part in split_file(write(text)).values()]
    assert "\n".join(parts) + "\n" == text
    assert len(parts[0]) > 0.85 * len(text)


def test_one_huge_line_is_cut_at_characters(write) -> None:
    parts = split_file(write("字" * 1000))
    assert [len(part) for part in parts.values()] == [900, 50, 50]


def test_a_text_of_a_few_letters_is_refused(write) -> None:
    with pytest.raises(EmptyCorpusError, match="too short"):
        split_file(write("abc"))


def test_the_ends_of_a_long_text_are_no_longer_than_it_takes_to_measure(write, monkeypatch) -> None:
    monkeypatch.setattr(own_text, "MAX_MEASURED", 100)
    parts = split_file(write("a line of text\n" * 1000))
    assert 80 < len(parts["validation"]) < 120
    assert 80 < len(parts["test"]) <= 100


def test_a_short_text_is_read_more_often_than_a_long_one(write) -> None:
    short = recipe_for_text(write("x" * 40_000), "characters", [])
    long = recipe_for_text(write("x" * 4_000_000), "characters", ["budget.batch_size=7"])
    assert short.budget.epochs == 30
    assert long.budget.epochs == 1
    assert long.budget.batch_size == 7


def test_words_are_sampled_where_a_sample_can_be_drawn(write) -> None:
    file = write("x" * 4_000)
    assert recipe_for_text(file, "words", []).optimizer.num_sampled == 4_000
    assert recipe_for_text(file, "words", ["optimizer.num_sampled=0"]).optimizer.num_sampled == 0
    assert recipe_for_text(file, "bpe", []).optimizer.num_sampled == 0
    pieces = recipe_for_text(file, "words", ["tokenizer.kind=bpe"])
    assert pieces.optimizer.num_sampled == 0
    taught = recipe_for_text(file, "words", ['distillation.teacher="runs/teacher"'])
    assert taught.optimizer.num_sampled == 0


TEXT = "".join(f"The  cat number {n} didn't sit\n\non the mat, 床前。 \n" for n in range(80))


@pytest.mark.parametrize("block", [10, 64, 1 << 20])
@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_tokens_of_blocks_are_those_of_the_whole_text(
    tmp_path, write, monkeypatch, kind, block
) -> None:
    monkeypatch.setattr(text_file, "BLOCK", block)
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    recipe = TokenizerRecipe(kind=kind, vocab_size=300)
    tokenizer = tokenizer_of(corpus, recipe)
    whole = corpus.train.read()
    assert tokenizer.to_json() == Tokenizer.train(kind, [whole], vocab_size=300).to_json()
    tokens = tokens_of(corpus, tokenizer)
    assert tokens.stream.tolist() == [1, *tokenizer.encode(whole).ids, 1]
    assert tokens.stream.dtype == np.uint16
    assert (
        tokens.counts_V.tolist()
        == np.bincount(tokens.stream[1:], minlength=300).tolist()[: tokenizer.vocab_size]
    )


def test_tokens_are_kept_until_text_or_vocabulary_changes(tmp_path, write, monkeypatch) -> None:
    words, characters = TokenizerRecipe(), TokenizerRecipe(kind="characters")
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    tokenizer = tokenizer_of(corpus, words)
    kept = tokens_of(corpus, tokenizer)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(text_tokens, "write_token_file", refuse)
        patch.setattr(Tokenizer, "train", refuse)
        again = own_text_corpus(TextFile.scan(tmp_path / "a.txt"), tmp_path / "cache")
        assert tokenizer_of(again, words).to_json() == tokenizer.to_json()
        assert np.array_equal(tokens_of(again, tokenizer).stream, kept.stream)
    assert len(tokens_of(corpus, tokenizer_of(corpus, characters)).stream) > len(kept.stream)
    edited = own_text_corpus(write(TEXT.replace("cat", "dog dog")), tmp_path / "cache")
    assert hash_of(edited) != hash_of(corpus)
    assert len(tokens_of(edited, tokenizer_of(edited, words)).stream) > len(kept.stream)


def test_a_broken_token_file_is_written_anew(tmp_path, write) -> None:
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    tokenizer = tokenizer_of(corpus, TokenizerRecipe())
    stream = tokens_of(corpus, tokenizer).stream.tolist()
    (ids,) = (tmp_path / "cache").rglob("*.ids")
    ids.write_bytes(ids.read_bytes()[:-2])
    assert tokens_of(corpus, tokenizer).stream.tolist() == stream
    header = ids.with_suffix(".json")
    header.write_text(json.dumps({**json.loads(header.read_text()), "format_version": 0}))
    assert tokens_of(corpus, tokenizer).stream.tolist() == stream
    assert not list((tmp_path / "cache").rglob("*.partial*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path, write) -> None:
    (tmp_path / "cache").write_text("a file")
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    with pytest.raises(CorpusError, match="REFRAIN_DATA"):
        tokenizer_of(corpus, TokenizerRecipe())


def test_byte_pairs_of_a_long_text_are_learnt_from_a_part_of_it(
    tmp_path, write, monkeypatch
) -> None:
    monkeypatch.setattr(text_tokens, "MAX_BPE_CHARACTERS", 1000)
    monkeypatch.setattr(text_file, "BLOCK", 100)
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    read: list[str] = []
    learn = Tokenizer.train

    def spy(kind: str, texts, **options: int) -> Tokenizer:
        read.extend(texts)
        return learn(kind, read, **options)

    monkeypatch.setattr(Tokenizer, "train", spy)
    tokenizer_of(corpus, TokenizerRecipe(kind="bpe", vocab_size=300))
    assert 800 < sum(map(len, read)) <= 1300


def test_a_run_on_a_text_file_trains_on_its_mapped_tokens_and_bounds_its_epochs(
    tmp_path, write
) -> None:
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    values = {
        "name": "tiny",
        "data": {"text": "a.txt"},
        "model": {"embedding_size": 16, "hidden_size": 16},
        "budget": {"epochs": 2, "batch_size": 4, "window": 8, "max_windows": 5},
        "card": {"baseline_order": 3},
    }
    directory = train(make_recipe(values), corpus, tmp_path / "tiny", log=lambda _: None)
    card = load_checkpoint(directory).card
    assert card.training["steps"] == 10
    assert {metric.model for metric in card.metrics} == {"", "int8", "Kneser-Ney 3-gram"}


def test_n_grams_of_too_long_a_text_are_refused_before_training(
    tmp_path, write, monkeypatch
) -> None:
    monkeypatch.setattr(ngram, "MAX_COUNTED_TOKENS", 100)
    corpus = own_text_corpus(write(TEXT), tmp_path / "cache")
    recipe = make_recipe({"name": "tiny", "card": {"baseline_order": 3}})
    with pytest.raises(RecipeError, match="too many to count"):
        train(recipe, corpus, tmp_path / "tiny", log=lambda _: None)
