"""Model configurations: frozen, validated, and turned to and from plain dictionaries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from refrain.models.errors import ConfigError

CellName = Literal["feedforward", "elman", "jordan", "gru", "lstm", "mogrifier"]
Nonlinearity = Literal["tanh", "relu", "sigmoid"]
Pooling = Literal["last", "mean", "max", "mean_max"]

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a string"),
    "dict[str, Any]": ((dict,), "a table"),
}
"""What may stand where a field is annotated so, and how a person would say that."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_positive(**sizes: int) -> None:
    for name, size in sizes.items():
        _require(
            isinstance(size, int) and not isinstance(size, bool) and size > 0,
            f"{name} must be a whole number above 0, not {size!r}",
        )


def _require_fractions(**rates: float) -> None:
    for name, rate in rates.items():
        _require(
            isinstance(rate, (int, float)) and 0 <= rate < 1,
            f"{name} must lie in [0, 1), not {rate!r}",
        )


def _require_types(config: Any) -> None:
    """Check plain values against their annotations: a file may hold anything."""
    for each in fields(config):
        wanted = wanted_instead(str(each.type), getattr(config, each.name))
        _require(not wanted, f"{each.name} must be {wanted}, not {getattr(config, each.name)!r}")


def wanted_instead(annotation: str, value: Any) -> str:
    """Describe what a field should hold in place of a value; "" where that will do, or any value will."""
    if annotation not in KINDS:
        return ""
    kinds, name = KINDS[annotation]
    is_right = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    return "" if is_right else name


def _require_one_of(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    _require(
        isinstance(value, str) and value in choices,
        f"{name} must be one of {', '.join(choices)}, not {value!r}",
    )


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """What every recurrent network of this project has.

    Attributes
    ----------
    vocab_size
        Number of tokens, special ones included.
    cell
        What one step of a layer is; see `refrain.models.networks.cells`.
    nonlinearity
        Activation of feed-forward, Elman and Jordan cells; the others have their own and take "tanh" only.
    forget_bias
        What the biases of an LSTM's or a Mogrifier's forget gates begin with, beside their random draw: 1 lets a cell
        remember at first (Gers et al. 2000; Jozefowicz et al. 2015), 0 is what Zaremba et al. 2014 had.
    mogrifier_rounds, mogrifier_rank
        How often a Mogrifier's input and state scale each other, and the rank of the matrices that do it.
    embedding_size
        Width of a token's vector.
    hidden_size
        Width of each layer (of one direction).
    num_layers
        Layers of the stack.
    input_dropout, hidden_dropout, output_dropout
        Locked dropout (one mask a row, the same at each time; Gal & Ghahramani 2016) on the
        embeddings, between layers, and before the output.
    embedding_dropout
        Share of the vocabulary whose vectors are zeroed for a window (Merity et al. 2018).
    weight_dropout
        Share of the weights from a layer's state to itself that are zeroed for a window (Wan et al. 2013,
        Merity et al. 2018).
    """

    vocab_size: int
    cell: CellName = "lstm"
    nonlinearity: Nonlinearity = "tanh"
    embedding_size: int = 256
    hidden_size: int = 512
    num_layers: int = 2
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    output_dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.0
    forget_bias: float = 1.0
    mogrifier_rounds: int = 5
    mogrifier_rank: int = 84

    def __post_init__(self) -> None:
        _require_types(self)
        _require_positive(
            mogrifier_rounds=self.mogrifier_rounds,
            mogrifier_rank=self.mogrifier_rank,
            vocab_size=self.vocab_size,
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
        )
        _require_one_of("cell", self.cell, get_args(CellName))
        _require_one_of("nonlinearity", self.nonlinearity, get_args(Nonlinearity))
        _require(
            self.cell in ("feedforward", "elman", "jordan") or self.nonlinearity == "tanh",
            f"a {self.cell} cell has its own nonlinearities: leave nonlinearity at 'tanh'",
        )
        _require(
            self.cell != "feedforward" or not self.weight_dropout,
            "a feedforward cell has no weights from state to state to drop",
        )
        _require(
            self.cell in ("lstm", "mogrifier") or self.forget_bias == 1,
            f"a {self.cell} cell has no forget gate whose bias could be set: leave forget_bias at 1",
        )
        _require(-100 <= self.forget_bias <= 100, "forget_bias must lie in [-100, 100]")
        _require_fractions(
            input_dropout=self.input_dropout,
            hidden_dropout=self.hidden_dropout,
            output_dropout=self.output_dropout,
            embedding_dropout=self.embedding_dropout,
            weight_dropout=self.weight_dropout,
        )

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of each layer, first to last."""
        return (self.hidden_size,) * self.num_layers


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(RecurrentConfig):
    """A recurrent network that predicts the next token.

    Attributes
    ----------
    tied
        Whether the output matrix is the embedding matrix (Press & Wolf 2017); the last layer then
        has `embedding_size` in place of `hidden_size`.
    """

    task: ClassVar[str] = "language_model"

    tied: bool = True

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of each layer, first to last."""
        last = self.embedding_size if self.tied else self.hidden_size
        return (self.hidden_size,) * (self.num_layers - 1) + (last,)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(RecurrentConfig):
    """A recurrent network that reads a whole text and gives it a label.

    Attributes
    ----------
    labels
        Names of the classes.
    label_scores
        Where each class lies from 0 (most negative) to 1 (most positive).
    bidirectional
        Whether a second stack reads the text from its end.
    pooling
        How the outputs of all times become one vector: the last one of each direction, their
        mean, their maximum, or mean and maximum side by side.
    """

    task: ClassVar[str] = "classifier"

    labels: tuple[str, ...]
    label_scores: tuple[float, ...]
    num_layers: int = 1
    bidirectional: bool = True
    pooling: Pooling = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "label_scores", tuple(self.label_scores))
        _require(all(isinstance(label, str) for label in self.labels), "labels must be names")
        _require(
            all(isinstance(score, (int, float)) and 0 <= score <= 1 for score in self.label_scores),
            "label_scores must be numbers from 0 to 1",
        )
        _require(len(self.labels) > 1, "labels must name two classes at least")
        _require(
            len(self.labels) == len(self.label_scores), "label_scores must have one score a label"
        )
        _require_one_of("pooling", self.pooling, get_args(Pooling))


@dataclass(frozen=True, kw_only=True)
class NGramConfig:
    """An interpolated modified Kneser-Ney model.

    Attributes
    ----------
    order
        Longest n-gram: 5 looks at the four tokens before.
    eos_id
        The token that stands before and after each text; no history reaches back over it. On disk and in JSON it has
        its former name, `boundary_id`.
    unk_id
        The token of unknown words.
    """

    task: ClassVar[str] = "ngram"

    vocab_size: int
    order: int = 5
    eos_id: int = 1
    unk_id: int = 0

    def __post_init__(self) -> None:
        _require_positive(vocab_size=self.vocab_size, order=self.order)
        for name in ("eos_id", "unk_id"):
            token_id = getattr(self, name)
            _require(
                0 <= token_id < self.vocab_size, f"{name} {token_id} lies outside the vocabulary"
            )


ModelConfig = LanguageModelConfig | ClassifierConfig | NGramConfig
STORED_NAMES = {"eos_id": "boundary_id"}
"""Fields that stand on disk and in JSON under another name, and which."""

_CONFIGS: dict[str, type[ModelConfig]] = {
    config.task: config for config in (LanguageModelConfig, ClassifierConfig, NGramConfig)
}


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Return a configuration as a plain dictionary with its task, as it stands on disk and in JSON."""
    values = asdict(config).items()
    return {"task": config.task, **{STORED_NAMES.get(name, name): value for name, value in values}}


def config_from_dict(values: dict[str, Any]) -> ModelConfig:
    """Make the configuration that a dictionary with a `task` describes.

    Raises
    ------
    ConfigError
        For an unknown task or key, a missing key, or a value out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"a model is described by a table of keys and values, not {values!r}")
    values = dict(values)
    task = values.pop("task", None)
    if task not in _CONFIGS:
        raise ConfigError(f"task must be one of {', '.join(_CONFIGS)}, not {task!r}")
    config = _CONFIGS[task]
    stored = {STORED_NAMES.get(each.name, each.name): each.name for each in fields(config)}
    if unknown := sorted(set(values) - set(stored)):
        raise ConfigError(f"a {task} has no setting {', '.join(unknown)}")
    try:
        return config(**{stored[name]: value for name, value in values.items()})
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{task}: {error}") from error
