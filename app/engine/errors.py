"""Everything the engine can refuse.

* EngineError
  - QueueFullError        the caller may come back later
  - RequestTooLargeError  the caller asks for more at once than there is room for
  - EndedTextError        nothing can be scored after the end of a text
  - EngineStoppedError    nobody is left to answer
  - EngineFailureError    a step broke
"""


class EngineError(Exception):
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
