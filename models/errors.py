"""Everything that Refrain can refuse; each part of the tree is headed by the file that defines it.

* RefrainError

  here: what models and checkpoints refuse
  - ConfigError              a configuration that no model can have
  - TokenizerError           a text or vocabulary that the tokenizer cannot take
  - InvalidParameterError    a value that a model or an operation cannot take; names it
    - TextTooLongError       more tokens than the limit (inference/errors.py)
  - StateError               a recurrent state that does not fit the model
  - CheckpointError          a checkpoint directory that cannot be served; names the file and the fault
  - NativeLibraryError       the native library was not built, or cannot be loaded
  - PrecisionError           a model that has no form of that precision
  - ExportError              a model that has no form for other runtimes

  inference/errors.py: what the engine, the operations and the drivers refuse
  - EngineError
    - QueueFullError         the caller may come back later
    - RequestTooLargeError   more sequences at once than there is ever room for
    - EndedTextError         what follows the end of a text cannot be scored
    - EngineStoppedError     nobody is left to answer
    - EngineFailureError     a step broke; the cause is chained
  - ModelChoiceError         names the field at fault
    - UnknownModelError      no such model is there
    - WrongTaskError         that model does something else

  app/services/errors.py: what only a server refuses
  - ServiceError             names the field at fault
    - StaleStateError        a state of another version of the model
    - UnknownSessionError    no such session is open
    - TooManySessionsError   no more sessions may be opened now

  training/errors.py: what training refuses
  - RecipeError              a recipe or an override that makes no sense
  - OutputError              the output folder cannot be written, or another run holds it
    - OutputExistsError      it holds something worth keeping
  - SnapshotError            a snapshot that does not fit the run
  - DivergedError            the loss, its gradient or a validation result is NaN or infinite
  - MissingPackageError      an optional package that is not installed; says how to get it
  - TrackingError            an MLflow server or folder that does not answer
  - HubError                 the hub does not give or take a repository; says why
  - LicenceError             a checkpoint that may not be given away
  - CorpusError
    - EmptyCorpusError       a text with nothing in it
    - NotUtf8Error           a text file in another encoding; says the byte
    - UnknownDatasetError    no such name in the registry
    - MissingDatasetError    files that are not there; says how to get them
    - CorruptDatasetError    files that are not what they should be
  - TrainingStoppedError     a signal asked a run to stop; it can go on

  cli/documents/texts.py and cli/answers/remote.py: what commands refuse
  - InputError               a text, file or flag that a command cannot take
  - RemoteError              a server that does not answer, or refuses
"""


class RefrainError(Exception):
    """Root of every named error of Refrain."""


class ConfigError(RefrainError, ValueError):
    """A configuration that no model can have."""


class TokenizerError(RefrainError, ValueError):
    """A text or a vocabulary that the tokenizer cannot take."""


class InvalidParameterError(RefrainError, ValueError):
    """A value that a model or an operation cannot take; `param` names it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class StateError(RefrainError, ValueError):
    """A recurrent state that does not fit the model."""


class CheckpointError(RefrainError):
    """A checkpoint directory that cannot be served."""


class NativeLibraryError(RefrainError):
    """The native library was not built, or cannot be loaded."""


class PrecisionError(RefrainError, ValueError):
    """A model that has no form of that precision."""


class ExportError(RefrainError, ValueError):
    """A model that has no form for other runtimes."""


def how_to_install(extra: str) -> str:
    """Describe how an extra of this project is installed; the name on PyPI is another project's."""
    return (
        "in the folder of this project, "
        f".venv/bin/pip install --constraint constraints.txt --editable '.[{extra}]'"
    )
