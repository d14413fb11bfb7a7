"""What a service can refuse; the caller can mend all of it.

* ServiceError
  - UnknownModelError       no such model is loaded
  - WrongTaskError          that model does something else
  - InvalidParameterError   a value that this model or service cannot take
    - TextTooLongError      more tokens than the limit
  - StaleStateError         a state from another version of the model
  - UnknownSessionError     no such session is open
  - TooManySessionsError    no more sessions may be opened now
"""


class ServiceError(Exception):
    """Root of what a service can refuse; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModelError(ServiceError):
    """No such model is loaded."""


class WrongTaskError(ServiceError):
    """That model does something else."""


class InvalidParameterError(ServiceError):
    """A value that this model or service cannot take."""


class TextTooLongError(InvalidParameterError):
    """More tokens than the limit."""


class StaleStateError(ServiceError):
    """A state from another version of the model."""


class UnknownSessionError(ServiceError):
    """No such session is open."""


class TooManySessionsError(ServiceError):
    """No more sessions may be opened now."""
