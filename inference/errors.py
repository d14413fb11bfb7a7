"""Everything that the engine, the operations and the drivers can refuse; models/errors.py draws the whole tree."""

from __future__ import annotations

from refrain.models.errors import InvalidParameterError, RefrainError


class EngineError(RefrainError):
    """Root of what the engine can refuse."""


class QueueFullError(EngineError):
    """Too many sequences wait already."""


class RequestTooLargeError(EngineError):
    """More sequences at once than slots and queue hold, however long one waits."""


class EndedTextError(EngineError):
    """Nothing can be scored after the end of a text: the model said that there is no more."""


class EngineStoppedError(EngineError):
    """The engine has stopped."""


class EngineFailureError(EngineError):
    """A step broke; the cause is chained."""

    @classmethod
    def of(cls, cause: BaseException, what: str = "a step of the engine") -> EngineFailureError:
        """Describe what broke."""
        error = cls(f"{what} broke: {cause!r}")
        error.__cause__ = cause
        return error


class TextTooLongError(InvalidParameterError):
    """More tokens than the limit."""


class ModelChoiceError(RefrainError):
    """Root of what the choice of a model can refuse; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = "model") -> None:
        super().__init__(message)
        self.param = param


class UnknownModelError(ModelChoiceError):
    """No such model is there."""


class WrongTaskError(ModelChoiceError):
    """That model does something else."""
