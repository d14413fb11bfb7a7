"""The registered sources are described in full, and those that are not free are not among them."""

import re

from refrain.training.data.datasets.registry import DATASETS
from refrain.training.data.mixture.english_open import ENGLISH_OPEN


def test_every_source_is_pinned_and_described() -> None:
    for source in ENGLISH_OPEN.sources:
        assert re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.license
        assert source.holders
        assert source.package in DATASETS["english-open"].origin
        assert source.fetch in DATASETS["english-open"].how_to_get


def test_no_source_is_under_the_gpl_alone() -> None:
    for source in ENGLISH_OPEN.sources:
        assert "GPL" not in source.license or "CC BY-SA" in source.license
