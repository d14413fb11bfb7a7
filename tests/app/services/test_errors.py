"""What only a server refuses."""

import pytest

from refrain.app.services.errors import (
    ServiceError,
    StaleStateError,
    TooManySessionsError,
    UnknownSessionError,
)
from refrain.models.errors import RefrainError


@pytest.mark.parametrize("kind", [StaleStateError, TooManySessionsError, UnknownSessionError])
def test_a_refusal_names_the_field_at_fault_and_is_one_of_refrain(kind) -> None:
    error = kind("no", "state")
    assert isinstance(error, ServiceError)
    assert isinstance(error, RefrainError)
    assert (str(error), error.param) == ("no", "state")
    assert kind("no").param is None
