"""Everything that a run needs before its first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refrain.models.networks.classifier import Classifier
from refrain.models.networks.language_model import LanguageModel
from refrain.models.text.tokenizer import Tokenizer
from refrain.training.optimize.objectives.objective import Objective


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step."""

    model: LanguageModel | Classifier
    objective: Objective
    tokenizer: Tokenizer
    sample: Callable[[], str] | None
