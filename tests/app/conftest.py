"""A service over tiny checkpoints with random weights: in process, and on a free port."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refrain.app.settings import Settings
from tests.support.checkpoints import save_one_of_each
from tests.support.service import Applications, Service, listening


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with one model of each kind."""
    return save_one_of_each(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def applications(checkpoints) -> Iterator[Applications]:
    """The applications of a module's tests, each made once."""
    applications = Applications(checkpoints)
    yield applications
    applications.close()


@pytest.fixture
def serve(applications, request) -> Callable[..., None]:
    """Run a coroutine with a client of a service over the tiny checkpoints.

    Tests of a module ask the same one where they have the same settings, unless they ask for a fresh one. Those that
    count what a service has done set `FRESH_SERVICE` in their module: each has one of its own.
    """
    is_counted = getattr(request.module, "FRESH_SERVICE", False)

    def run(body, *, is_fresh: bool = is_counted, **settings: object) -> None:
        applications.ask(body, is_fresh=is_fresh, **settings)

    return run


@pytest.fixture
def address(service) -> str:
    """Where the service with one slot listens."""
    return service.address


@pytest.fixture(scope="module")
def plain_address(checkpoints) -> Iterator[str]:
    """Where a service in float32 with the usual limits listens."""
    with listening(Settings(models=checkpoints, precision="fp32")) as service:
        yield service.address


@pytest.fixture
def service(checkpoints) -> Iterator[Service]:
    """A service with one slot on a free port."""
    limits = {"max_slots": 1, "max_queue": 4, "max_tokens": 10**9, "max_prompt_tokens": 10**9}
    with listening(Settings(models=checkpoints, max_score_tokens=10**9, **limits)) as service:
        yield service
