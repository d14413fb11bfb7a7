"""Tiny checkpoints with random weights, without a service."""

from pathlib import Path

import pytest

from tests.support.checkpoints import save_one_of_each


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with one model of each kind."""
    return save_one_of_each(tmp_path_factory.mktemp("checkpoints"))
