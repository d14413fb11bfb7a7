"""What every test has: a folder of its own for what is kept of texts, and the same seeds on every run."""

import os
import random
import secrets

import pytest


@pytest.fixture(autouse=True)
def _keep_tokens_here(tmp_path_factory, monkeypatch) -> None:
    """Have `refrain train --text` keep tokens in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(
        "refrain.training.data.datasets.loading.token_cache", lambda _environ: folder
    )


@pytest.fixture(autouse=True)
def _draw_the_same_seeds(monkeypatch) -> None:
    """Draw the seeds of requests that name none from a fixed one, so that no test passes or fails by chance.

    `REFRAIN_TEST_SEED` sets another: run the tests with several to find those that lean on one.
    """
    draw = random.Random(int(os.environ.get("REFRAIN_TEST_SEED", "0")))
    monkeypatch.setattr(secrets, "randbits", draw.getrandbits)
