"""The tiny checkpoints of the tests of `app`, a service that all tests share, and a client of it."""

from collections.abc import Iterator

import pytest

from refrain.app.settings import Settings
from refrain.client import Client
from tests.app.conftest import applications, checkpoints, serve
from tests.support.service import Service, listening

__all__ = ["applications", "checkpoints", "serve"]


@pytest.fixture(scope="session")
def service(checkpoints) -> Iterator[Service]:
    """A service with one slot on a free port."""
    limits = {"max_slots": 1, "max_queue": 40, "max_tokens": 10**9, "max_score_tokens": 10**9}
    with listening(Settings(models=checkpoints, **limits)) as service:
        yield service


@pytest.fixture
def address(service) -> str:
    """Where the service listens."""
    return service.address


@pytest.fixture
def client(address) -> Iterator[Client]:
    """A client of the service."""
    with Client(address, timeout=20) as client:
        yield client
