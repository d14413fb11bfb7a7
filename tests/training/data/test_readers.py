"""Readers: cleaning rules on made-up files, and the published counts where the corpora are at hand."""

import gzip
import json
import os
from pathlib import Path
from random import Random

import pytest

from refrain.training.data.corpus import LabelledCorpus, TextCorpus
from refrain.training.data.datasets.loading import data_root, is_present, load_dataset
from refrain.training.data.datasets.registry import DATASETS
from refrain.training.data.near_duplicates import (
    is_near_duplicate,
    keep_apart,
    letters_of,
    split_of,
)
from refrain.training.data.readers.chnsenticorp import read_chnsenticorp
from refrain.training.data.readers.sst import phrases_of, read_sst2, read_sst5
from refrain.training.data.readers.tang import FILE, clean_title, clean_verse, read_tang


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("逻人（一作「叉」）横鸟道，\n江祖出鱼梁。", "逻人横鸟道，\n江祖出鱼梁。"),
        ("[爽]节在重九，物华新雨余。", "爽节在重九，物华新雨余。"),
        ("童子解吟《长恨曲》，胡儿能唱琵琶篇。", "童子解吟长恨曲，胡儿能唱琵琶篇。"),
        ("春眠不觉晓，处处闻啼鸟。\n（注〖1〗（甲）乙）", "春眠不觉晓，处处闻啼鸟。"),
        ("二阶□夜雪，亚圣在春闱。", ""),
        ("援绿{竹/戢}，凫雁将子飞。", ""),
        ("只有一句。", ""),
        ("春眠不觉晓，处处闻啼鸟。\n（唐诗纪事。\n又一", "春眠不觉晓，处处闻啼鸟。"),
        ("菊花催晚［气］，萸房避早寒。", "菊花催晚气，萸房避早寒。"),
        ("曾奉郊宫为近侍，分明\ue829\ue829羽林枪。", ""),
    ],
)
def test_editors_marks_are_cleaned_and_damaged_poems_left_out(raw, clean) -> None:
    assert clean_verse(raw) == clean


def test_titles_lose_their_notes_and_over_long_ones_go() -> None:
    assert clean_title("静夜思（一作夜思）") == "静夜思"
    assert clean_title("奉和圣制送尚书燕国公赴朔方军应制之作") == ""


def write_poems(root: Path, poems: list[dict]) -> None:
    path = root / FILE
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(poem) + "\n" for poem in poems)


def test_no_validation_or_test_poem_shares_two_clauses_with_a_training_poem(tmp_path) -> None:
    letters = [chr(0x4E00 + n) for n in range(2000)]
    random = Random(0)
    poems = []
    for n in range(900):
        clauses = ["".join(random.choices(letters, k=5)) for _ in range(4)]
        if n % 3 == 0 and n:
            clauses[:2] = poems[n - 1]["clauses"][:2]
        lines = [f"{clauses[0]}，{clauses[1]}。", f"{clauses[2]}，{clauses[3]}。"]
        poems.append({"id": str(n), "title": "题", "lines": lines, "clauses": clauses})
    write_poems(tmp_path, [*poems, poems[0] | {"id": "again"}])
    corpus = read_tang(tmp_path)
    verses = {
        split: [text.split("》\n")[-1] for text in texts]
        for split, texts in corpus.documents.items()
    }
    assert sum(map(len, verses.values())) == 900
    assert verses["validation"]
    assert verses["test"]
    train = {line for verse in verses["train"] for line in verse.split("\n")}
    for split in ("validation", "test"):
        assert not any(line in train for verse in verses[split] for line in verse.split("\n"))
    titled = sum(text.startswith("《题》") for text in corpus.documents["train"])
    assert 0.4 < titled / len(corpus.documents["train"]) < 0.6


def test_a_text_is_a_near_duplicate_by_two_clauses_or_a_quarter() -> None:
    known = {"a", "b"}
    assert is_near_duplicate(["a", "b", *"cdefghijk"], known)
    assert is_near_duplicate(["a", "x", "y", "z"], known)
    assert not is_near_duplicate(["a", "x", "y", "z", "w"], known)
    assert not is_near_duplicate([], known)


def test_texts_moved_to_train_drag_their_own_near_duplicates_along() -> None:
    kept = keep_apart(
        {
            "train": [("T", ["a", "b"])],
            "test": [("one", ["a", "b", "c", "d"]), ("two", ["c", "d", "x"]), ("three", ["y"])],
            "validation": [("four", ["y", "z"]), ("five", ["q"])],
        }
    )
    assert kept["train"] == ["T", "one", "two", "four", "three"]
    assert kept["test"] == []
    assert kept["validation"] == ["five"]


def test_a_text_kept_early_follows_a_near_duplicate_that_moves_later() -> None:
    late = ("late", ["a", "b", "c", "d"])
    early = ("early", ["c", "d", "x"])
    kept = keep_apart({"train": [("T", ["a", "b"])], "test": [early, late], "validation": []})
    assert kept["test"] == []
    assert set(kept["train"]) == {"T", "early", "late"}


def test_shares_of_a_split_are_as_asked() -> None:
    splits = [split_of(str(n), validation=0.1, test=0.2) for n in range(5000)]
    assert splits.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)
    assert splits.count("test") / 5000 == pytest.approx(0.2, abs=0.02)


def test_every_phrase_of_a_tree_has_its_label() -> None:
    tree = "(3 (2 It) (4 (2 's) (4 (3 lovely) (2 \\/))))"
    assert list(phrases_of(tree)) == [
        (2, ["It"]),
        (2, ["'s"]),
        (3, ["lovely"]),
        (2, ["/"]),
        (4, ["lovely", "/"]),
        (4, ["'s", "lovely", "/"]),
        (3, ["It", "'s", "lovely", "/"]),
    ]


def test_phrases_train_and_whole_sentences_measure(tmp_path) -> None:
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst/trees_train.txt").write_text(
        "(3 (2 It) (4 works))\n(2 (2 so) (2 so))\n(4 (2 we) (4 (4 won) (2 !)))\n"
    )
    for name in ("dev", "test"):
        (tmp_path / f"sst/trees_{name}.txt").write_text(
            "(3 (3 (2 It) (4 works)) (2 ?))\n(4 (4 Won) (2 .))\n"
        )
    five = read_sst5(tmp_path)
    assert {(e.text, e.label) for e in five.examples["train"]} == {
        ("It", 2),
        ("works", 4),
        ("so", 2),
        ("so so", 2),
        ("we", 2),
        ("!", 2),
        ("we won!", 4),
    }
    assert [e.text for e in five.examples["test"]] == ["It works?", "Won."]
    two = read_sst2(tmp_path)
    assert [(e.text, e.label) for e in two.examples["test"]] == [("It works?", 1), ("Won.", 1)]


def test_quoted_reviews_lose_only_their_quoting(tmp_path) -> None:
    (tmp_path / "chnsenticorp").mkdir()
    (tmp_path / "chnsenticorp/train.dedup.tsv").write_text(
        "label\ttext_a\n1\t说好的!\n0\t好\n", "utf-8"
    )
    for name in ("dev", "test"):
        text = 'label\ttext_a\n1\t"说""好""的"\n0\t不"好"\n'
        (tmp_path / f"chnsenticorp/{name}.tsv").write_text(text, "utf-8")
    corpus = read_chnsenticorp(tmp_path)
    assert [e.text for e in corpus.examples["train"]] == ["好"]
    examples = corpus.examples["test"]
    assert [(e.text, e.label) for e in examples] == [('说"好"的', 1), ('不"好"', 0)]


SIZES = {
    "tang": (53031, 1237, 1182),
    "wikitext-2": (36718, 3760, 4358),
    "wikitext-2-natural": (600, 60, 60),
    "penn-treebank": (42068, 3370, 3761),
    "tinyshakespeare": (1, 1, 1),
    "sst-5": (159237, 1101, 2210),
    "sst-2": (77600, 872, 1821),
    "chnsenticorp": (7561, 1160, 1200),
    "chinese-reviews": (12226, 1160, 1200),
    "chinese-review-texts": (11264, 496, 466),
    "imdb": (22392, 2485, 25000),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_corpus_at_hand_has_the_sizes_that_its_figures_were_measured_on(name) -> None:
    root = data_root(os.environ)
    if not is_present(DATASETS[name], root):
        pytest.skip(f"{name} is not in {root}")
    corpus = load_dataset(name, root)
    splits = corpus.documents if isinstance(corpus, TextCorpus) else corpus.examples
    assert tuple(len(splits[split]) for split in ("train", "validation", "test")) == SIZES[name]
    if isinstance(corpus, LabelledCorpus):
        seen = {letters_of(example.text) for example in corpus.examples["train"]}
        held_out = {letters_of(e.text) for s in ("validation", "test") for e in corpus.examples[s]}
        assert not seen & held_out


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("wikitext-2", (2_088_628, 217_646, 245_569)),
        ("penn-treebank", (929_589, 73_760, 82_430)),
    ],
)
def test_a_benchmark_at_hand_has_the_published_number_of_tokens(name, counts) -> None:
    root = data_root(os.environ)
    if not is_present(DATASETS[name], root):
        pytest.skip(f"{name} is not in {root}")
    documents = load_dataset(name, root).documents
    for split, count in zip(("train", "validation", "test"), counts, strict=True):
        assert sum(len(line.split()) + 1 for line in documents[split]) == count
