"""What training refuses; models/errors.py draws the whole tree."""

from refrain.models.errors import RefrainError


class RecipeError(RefrainError, ValueError):
    """A recipe or an override that makes no sense."""


class OutputError(RefrainError):
    """The output folder cannot be written, or another run holds it."""


class OutputExistsError(OutputError):
    """The output folder holds something worth keeping."""


class SnapshotError(RefrainError):
    """A snapshot that does not fit the run."""


class DivergedError(RefrainError):
    """The loss, its gradient or a validation score is no longer finite."""


class MissingPackageError(RefrainError):
    """An optional package that is not installed."""


class TrackingError(RefrainError):
    """An MLflow server or folder that does not answer."""


class HubError(RefrainError):
    """A repository cannot be fetched from the hub or sent to it."""


class LicenceError(RefrainError):
    """A checkpoint that may not be given away."""


class CorpusError(RefrainError):
    """A corpus that cannot be read."""


class EmptyCorpusError(CorpusError):
    """A text with nothing in it."""


class NotUtf8Error(CorpusError):
    """A text file in another encoding than UTF-8."""


class UnknownDatasetError(CorpusError):
    """No such name in the registry."""


class MissingDatasetError(CorpusError):
    """Files of a corpus that are not there."""


class CorruptDatasetError(CorpusError):
    """Files of a corpus that are not what they should be."""


class TrainingStoppedError(RefrainError):
    """A signal asked a run to stop; it can go on."""
