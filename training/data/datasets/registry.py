"""The registry of corpora: what each is, where from, under which licence, how to get it, how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from refrain.training.data.datasets.chinese import (
    CHINESE_REVIEW_TEXTS,
    CHINESE_REVIEWS,
    CHNSENTICORP,
    TANG,
)
from refrain.training.data.datasets.dataset import Dataset
from refrain.training.data.datasets.english import (
    ENGLISH_OPEN,
    IMDB,
    PENN_TREEBANK,
    SST_2,
    SST_5,
    TINYSHAKESPEARE,
    WIKITEXT_2,
    WIKITEXT_2_NATURAL,
)

_ALL = (
    TANG,
    WIKITEXT_2,
    WIKITEXT_2_NATURAL,
    PENN_TREEBANK,
    TINYSHAKESPEARE,
    SST_5,
    SST_2,
    CHNSENTICORP,
    CHINESE_REVIEWS,
    CHINESE_REVIEW_TEXTS,
    IMDB,
    ENGLISH_OPEN,
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _ALL})
