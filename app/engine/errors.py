"""Everything the engine can refuse.

* EngineError
  - QueueFullError        the caller may come back later
  - EngineStoppedError    nobody is left to answer
  - EngineFailureError    a step broke
"""


class EngineError(Exception):
    """Root of what the engine can refuse."""


class QueueFullError(EngineError):
    """Too many sequences wait already."""


class EngineStoppedError(EngineError):
    """The engine has stopped."""


class EngineFailureError(EngineError):
    """A step broke; the cause is chained."""
