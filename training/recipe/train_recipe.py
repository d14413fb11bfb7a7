"""One TOML file says everything about a run: data, tokenizer, model, optimiser, budget."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from refrain.models.config import (
    ClassifierConfig,
    LanguageModelConfig,
    ModelConfig,
    NGramConfig,
)
from refrain.training.recipe.budget import BudgetRecipe
from refrain.training.recipe.checks import require, require_known
from refrain.training.recipe.corpus import DataRecipe, TokenizerRecipe
from refrain.training.recipe.optimizer import OptimizerRecipe

MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    config.task: config for config in (LanguageModelConfig, ClassifierConfig, NGramConfig)
}

GIVEN_BY_CORPUS = {"vocab_size", "labels", "label_scores", "eos_id", "unk_id"}


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
        require(0 < self.weight <= 1, "distillation.weight must lie in (0, 1]")


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
        require(self.task in tasks, f"task must be one of {', '.join(tasks)}, not {self.task!r}")
        dtypes = ("bfloat16", "float16", "float32")
        require(self.dtype in dtypes, f"dtype must be one of {', '.join(dtypes)}")
        require(0 <= self.seed < 2**63, "seed must be between 0 and 2**63")
        require(
            self.optimizer.schedule != "on_plateau" or not self.budget.validate_every,
            "optimizer.schedule on_plateau measures each epoch: leave budget.validate_every at 0",
        )
        require(
            self.tokenizer.kind != "bpe" or not self.optimizer.num_sampled,
            "optimizer.num_sampled needs words numbered by frequency, which pieces of bpe are not",
        )
        require(
            not (self.data.dataset and self.data.text),
            "the recipe names data.dataset and data.text: set one of them to nothing",
        )
        self._check_teacher()
        if self.task == "classifier":
            self._refuse_what_only_language_models_use()
        keys = {f.name for f in dataclasses.fields(MODEL_CONFIGS[self.task])} - GIVEN_BY_CORPUS
        require_known(self.model, sorted(keys), "[model] ")

    def _check_teacher(self) -> None:
        has_teacher = bool(self.distillation.teacher)
        require(
            not has_teacher or self.task == "language_model",
            "distillation.teacher is for language models",
        )
        require(
            not (has_teacher and self.optimizer.num_sampled),
            "optimizer.num_sampled must be 0 with distillation.teacher: a teacher predicts every word",
        )

    def _refuse_what_only_language_models_use(self) -> None:
        for table, key in (
            ("optimizer", "activation_penalty"),
            ("optimizer", "change_penalty"),
            ("optimizer", "num_sampled"),
            ("budget", "window_jitter"),
            ("budget", "max_windows"),
        ):
            is_set = bool(getattr(getattr(self, table), key))
            require(not is_set, f"{table}.{key} is for language models: leave it at 0")

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
