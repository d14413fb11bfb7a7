"""Everything that models and checkpoints can refuse.

* RefrainError
  - ConfigError        a configuration that no model can have
  - TokenizerError     a text or vocabulary that the tokenizer cannot take
  - StateError         a recurrent state that does not fit the model
  - CheckpointError    a checkpoint directory that cannot be served; names the file and the fault
  - NativeLibraryError the native library was not built, or cannot be loaded
  - PrecisionError     a model that has no form of that precision
  - ExportError        a model that has no form for other runtimes
"""


class RefrainError(Exception):
    """Root of every named error of Refrain."""


class ConfigError(RefrainError, ValueError):
    """A configuration that no model can have."""


class TokenizerError(RefrainError, ValueError):
    """A text or a vocabulary that the tokenizer cannot take."""


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
    """Say how an extra of this project is installed; the name on PyPI is another project's."""
    return (
        "in the folder of this project, "
        f".venv/bin/pip install --constraint constraints.txt --editable '.[{extra}]'"
    )
