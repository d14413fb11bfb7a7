"""One TOML file says everything about a run: data, tokenizer, model, optimiser, budget."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    ModelConfig,
    NGramConfig,
    wanted_instead,
)
from refrain.models.text.tokenizer import TokenizerKind
from refrain.training.errors import RecipeError

MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    config.task: config for config in (LanguageModelConfig, ClassifierConfig, NGramConfig)
}
GIVEN_BY_CORPUS = {"vocab_size", "labels", "label_scores", "boundary_id", "unk_id"}


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which corpus to read.

    Attributes
    ----------
    dataset
        A name of the dataset registry (`refrain datasets`); empty when `text` is given.
    text
        A text file of one's own.
    """

    dataset: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """How to cut text; see `refrain.models.text.tokenizer`.

    Attributes
    ----------
    kind
        "characters", "words", "bpe", or "whitespace" for text that is split to words already.
    vocab_size
        Most tokens to keep, 0 for all; of "bpe" the size itself.
    min_count
        Rarer tokens become `<unk>`.
    """

    kind: TokenizerKind = "words"
    vocab_size: int = 0
    min_count: int = 1

    def __post_init__(self) -> None:
        kinds = get_args(TokenizerKind)
        _require(self.kind in kinds, f"tokenizer.kind must be one of {', '.join(kinds)}")
        _require(
            self.vocab_size == 0 or self.vocab_size > 2,
            "tokenizer.vocab_size must be over 2, or 0 for every token",
        )
        _require(self.min_count > 0, "tokenizer.min_count must be positive")


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """How weights are updated.

    Attributes
    ----------
    kind
        "adamw" (Loshchilov & Hutter 2019), or "sgd", whose gradient is summed over the times of a window and averaged
        over its rows, as in the papers of its time.
    schedule
        "one_cycle" (Smith & Topin 2018): a linear rise in the first `warmup` of all steps, then a cosine to zero.
        "decay": constant for `decay_after` epochs, then multiplied by `decay` with each epoch.
        "on_plateau": multiplied by `decay` with each epoch, once an epoch has made validation less than 0.3 %
        better (Mikolov et al. 2010).
    learning_rate
        The highest.
    weight_decay
        Decoupled: times the learning rate, taken off each weight matrix with every update.
    clip_norm
        Longest gradient, as the norm over all parameters.
    warmup
        Share of the steps in which the learning rate of "one_cycle" rises.
    averaging
        Weight of the past in an exponential moving average of the weights, which is what is validated and kept;
        0 for none.
    activation_penalty, change_penalty
        AR and TAR of Merity et al. (2017): the mean square of the last layer's output, and of its change from time to
        time, times this, are added to the loss.
    num_sampled
        Words whose logits normalise a prediction while training: a quarter of them drawn anew from the rarer words for
        each window, three quarters the most frequent; 0 for the whole vocabulary.
    """

    kind: str = "adamw"
    schedule: str = "one_cycle"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    warmup: float = 0.1
    decay: float = 0.5
    decay_after: int = 1
    averaging: float = 0.0
    activation_penalty: float = 0.0
    change_penalty: float = 0.0
    num_sampled: int = 0

    def __post_init__(self) -> None:
        kinds, schedules = ("adamw", "sgd"), ("one_cycle", "decay", "on_plateau")
        _require(self.kind in kinds, f"optimizer.kind must be one of {', '.join(kinds)}")
        _require(
            self.schedule in schedules, f"optimizer.schedule must be one of {', '.join(schedules)}"
        )
        for name in ("activation_penalty", "change_penalty", "decay_after", "num_sampled"):
            _require(getattr(self, name) >= 0, f"optimizer.{name} must not be negative")
        _require(
            self.schedule != "decay" or self.decay_after > 0,
            "optimizer.decay_after must be 1 epoch or more: the first one has the learning rate as it is set",
        )
        _require(0 <= self.averaging < 1, "optimizer.averaging must lie in [0, 1)")
        _require(0 < self.decay <= 1, "optimizer.decay must lie in (0, 1]")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _require(
                0 < value < math.inf, f"optimizer.{name} must be a positive number, not {value}"
            )
        _require(0 <= self.weight_decay < math.inf, "optimizer.weight_decay must not be negative")
        _require(0 < self.warmup < 1, "optimizer.warmup is a share of the steps, between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class BudgetRecipe:
    """How long to train, on pieces of which size.

    Attributes
    ----------
    epochs
        Times that the corpus is read.
    batch_size
        Rows (lanes of text, or documents) read at once.
    window
        Tokens between two updates: how far truncated backpropagation through time reaches at most. Of a classifier, the
        tokens of a text that are read in training and validation: the first so many.
    window_jitter
        Standard deviation of the window's length, in tokens, drawn anew for each window; one in twenty is half as
        long. A window's update is scaled by its length (Merity et al. 2018).
    restart_rate
        Share of the rows of each window that start anew from the boundary, so that a long text has beginnings to learn
        from.
    max_windows
        Windows of an epoch at most, 0 for the whole corpus: each epoch of a stream then reads another part of it.
    snapshot_every, validate_every
        Steps; 0 for every two minutes, and for once an epoch.
    patience
        Validations in a row without a better figure after which a run stops early; 0 for never.
    precision
        "bfloat16", "float32", or "auto" for bfloat16 where the processor or GPU has instructions for it.
    """

    epochs: int = 5
    batch_size: int = 64
    window: int = 64
    window_jitter: float = 0.0
    restart_rate: float = 0.05
    max_windows: int = 0
    snapshot_every: int = 0
    validate_every: int = 0
    patience: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "window"):
            _require(getattr(self, name) > 0, f"budget.{name} must be positive")
        for name in (
            "max_windows",
            "snapshot_every",
            "validate_every",
            "patience",
            "window_jitter",
        ):
            _require(getattr(self, name) >= 0, f"budget.{name} must not be negative")
        _require(0 <= self.restart_rate < 1, "budget.restart_rate must lie in [0, 1)")
        choices = ("auto", "bfloat16", "float32")
        _require(self.precision in choices, f"budget.precision must be one of {', '.join(choices)}")


@dataclass(frozen=True, kw_only=True)
class DistillationRecipe:
    """Learning from a larger model's predictions (Hinton et al. 2015, at temperature 1).

    Attributes
    ----------
    teacher
        A language model's checkpoint, whose tokenizer the student takes; empty for no teacher.
    weight
        Share of the loss that is the cross-entropy against the teacher's probabilities; the rest is against the text.
    """

    teacher: str = ""
    weight: float = 0.5

    def __post_init__(self) -> None:
        _require(0 < self.weight <= 1, "distillation.weight must lie in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class CardRecipe:
    """What the model card says.

    Attributes
    ----------
    description, language, license
        For people; the language ("en", "zh") also decides which requests the model suits.
    baseline_order
        Order of the Kneser-Ney model to measure beside a language model, on the same tokens; 0 for none.
    """

    description: str = ""
    language: str = ""
    license: str = ""
    baseline_order: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """A whole run.

    Attributes
    ----------
    name
        Of the run, and of its checkpoint.
    task
        "language_model", "classifier" or "ngram".
    model
        Keywords of the task's configuration, but for the vocabulary and labels, which the corpus gives.
    seed
        Of the weights, dropout, and the order of the text.
    dtype
        How the checkpoint stores its weights: "bfloat16", "float16" or "float32".
    start_from
        A language model's checkpoint whose tokenizer, embedding and first layer a classifier starts from
        (Dai & Le 2015); empty to start from nothing.
    sample_prompt
        What the samples of text begin with as the model learns.
    """

    name: str
    task: str = "language_model"
    seed: int = 1
    dtype: str = "bfloat16"
    start_from: str = ""
    sample_prompt: str = ""
    data: DataRecipe = field(default_factory=DataRecipe)
    tokenizer: TokenizerRecipe = field(default_factory=TokenizerRecipe)
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    budget: BudgetRecipe = field(default_factory=BudgetRecipe)
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    card: CardRecipe = field(default_factory=CardRecipe)

    def __post_init__(self) -> None:
        tasks = ("language_model", "classifier", "ngram")
        _require(self.task in tasks, f"task must be one of {', '.join(tasks)}, not {self.task!r}")
        dtypes = ("bfloat16", "float16", "float32")
        _require(self.dtype in dtypes, f"dtype must be one of {', '.join(dtypes)}")
        _require(0 <= self.seed < 2**63, "seed must be between 0 and 2**63")
        _require(
            self.optimizer.schedule != "on_plateau" or not self.budget.validate_every,
            "optimizer.schedule on_plateau looks at each epoch: leave budget.validate_every at 0",
        )
        _require(
            self.tokenizer.kind != "bpe" or not self.optimizer.num_sampled,
            "optimizer.num_sampled needs words numbered by frequency, which pieces of bpe are not",
        )
        _require(
            not (self.data.dataset and self.data.text),
            "the recipe names data.dataset and data.text: set one of them to nothing",
        )
        has_teacher = bool(self.distillation.teacher)
        _require(
            not has_teacher or self.task == "language_model",
            "distillation.teacher is for language models",
        )
        _require(
            not (has_teacher and self.optimizer.num_sampled),
            "optimizer.num_sampled must be 0 with distillation.teacher: a teacher speaks of every word",
        )
        if self.task == "classifier":
            self._refuse_what_only_language_models_use()
        keys = {f.name for f in dataclasses.fields(MODEL_CONFIGS[self.task])} - GIVEN_BY_CORPUS
        _require_known(self.model, sorted(keys), "[model] ")

    def _refuse_what_only_language_models_use(self) -> None:
        for table, key in (
            ("optimizer", "activation_penalty"),
            ("optimizer", "change_penalty"),
            ("optimizer", "num_sampled"),
            ("budget", "window_jitter"),
            ("budget", "max_windows"),
        ):
            is_set = bool(getattr(getattr(self, table), key))
            _require(not is_set, f"{table}.{key} is for language models: leave it at 0")

    @property
    def sources(self) -> tuple[str, ...]:
        """The folders of the checkpoints that the run learns from."""
        return tuple(filter(None, (self.distillation.teacher, self.start_from)))

    def to_dict(self) -> dict[str, Any]:
        """Turn to plain dictionaries, as in the TOML file."""
        return dataclasses.asdict(self)

    def flattened(self) -> dict[str, Any]:
        """Return one value a key, such as "optimizer.learning_rate"."""
        flat: dict[str, Any] = {}
        for name, value in self.to_dict().items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": inner for key, inner in value.items()}
            else:
                flat[name] = value
        return flat


_SECTIONS: dict[str, type[Any]] = {
    "data": DataRecipe,
    "tokenizer": TokenizerRecipe,
    "optimizer": OptimizerRecipe,
    "budget": BudgetRecipe,
    "distillation": DistillationRecipe,
    "card": CardRecipe,
}


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainRecipe:
    """Read a recipe file and apply `section.key=value` overrides.

    Raises
    ------
    RecipeError
        If the file is missing, is no TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe at {path}; `ls recipes` shows those that exist") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    values.setdefault("name", path.stem)
    return make_recipe(values, overrides)


def make_recipe(values: dict[str, Any], overrides: Sequence[str] = ()) -> TrainRecipe:
    """Make a recipe of nested dictionaries and `section.key=value` overrides.

    Raises
    ------
    RecipeError
        For an unknown key or a value of the wrong type.
    """
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    for override in overrides:
        _apply(values, override)
    for section, kind in _SECTIONS.items():
        values[section] = _build(kind, values.get(section, {}), f"[{section}] ")
    recipe: TrainRecipe = _build(TrainRecipe, values, "")
    return recipe


WITHOUT_EFFECT = ("data.text", "distillation.teacher", "start_from", "budget.snapshot_every")
"""Keys that change no weight by themselves: what lies at a path may be the same elsewhere."""

SCHEDULE_KEYS = {
    "one_cycle": {"optimizer.warmup"},
    "decay": {"optimizer.decay", "optimizer.decay_after"},
    "on_plateau": {"optimizer.decay"},
}


def differences(before: TrainRecipe, now: TrainRecipe) -> list[str]:
    """Return the keys in which two recipes differ that matter to what is learned; paths and the card have none."""
    one, other = before.flattened(), now.flattened()
    unread = set[str]().union(*SCHEDULE_KEYS.values()) - SCHEDULE_KEYS[now.optimizer.schedule]
    return [
        f"{key} was {one.get(key)!r} and is {other.get(key)!r}"
        for key in sorted({*one, *other} - {*WITHOUT_EFFECT, *unread})
        if one.get(key) != other.get(key) and not key.startswith("card.")
    ]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RecipeError(message)


def _require_known(values: dict[str, Any], known: Sequence[str], subject: str) -> None:
    unknown = sorted(set(values) - set(known))
    _require(
        not unknown, f"{subject}has no key {', '.join(unknown)}; it may have {', '.join(known)}"
    )


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise RecipeError(f"--set takes KEY=VALUE, such as budget.epochs=3, not {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, name = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {key}: {section} is no section")
    values[name] = value


def _build(kind: type[Any], values: Any, where: str) -> Any:
    """Make a section, checking the names and types of its values."""
    if not isinstance(values, dict):
        raise RecipeError(f"{where}must be a table of keys and values, not {values!r}")
    types = {f.name: f.type for f in dataclasses.fields(kind)}
    _require_known(values, list(types), where or "the recipe ")
    for name, value in values.items():
        _check_type(f"{where}{name}", types[name], value)
    return kind(**values)


def _check_type(name: str, annotation: Any, value: Any) -> None:
    wanted = wanted_instead(str(annotation), value)
    _require(not wanted, f"{name} must be {wanted}, not {value!r}")
    if isinstance(value, float):
        _require(math.isfinite(value), f"{name} must be a number, not {value}")
