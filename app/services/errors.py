"""What only a server refuses; models/errors.py draws the whole tree."""

from __future__ import annotations

from refrain.models.errors import RefrainError


class ServiceError(RefrainError):
    """Root of what only a server refuses; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class StaleStateError(ServiceError):
    """A state of another version of the model."""


class UnknownSessionError(ServiceError):
    """No such session is open."""


class TooManySessionsError(ServiceError):
    """No more sessions may be opened now."""
