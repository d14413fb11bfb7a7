"""What every test has: a folder of its own for what is kept of texts."""

import pytest


@pytest.fixture(autouse=True)
def _keep_tokens_here(tmp_path_factory, monkeypatch) -> None:
    """Have `refrain train --text` keep tokens in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("training.datasets.token_cache", lambda _environ: folder)
