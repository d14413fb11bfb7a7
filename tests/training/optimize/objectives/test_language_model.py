"""What a window's loss asks of the update: a sum over its times, or a mean whose rate grows with its length."""

import pytest
import torch

from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.batches.window import Window
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.recipe.optimizer import OptimizerRecipe

USUAL = 20


@pytest.mark.parametrize("num_times", [10, 20, 40])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_update_grows_with_its_windows_length_once(kind, num_times) -> None:
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 1}
    model = LanguageModel(LanguageModelConfig(vocab_size=30, **sizes))
    source = StreamWindows([[2, 3]], eos_id=1, batch_size=2, window=USUAL)
    objective = LanguageModelObjective(
        model, source, source, torch.device("cpu"), OptimizerRecipe(kind=kind)
    )
    inputs, targets = torch.randint(2, 30, (2, 2, num_times))
    starts = torch.ones(2, dtype=torch.bool)
    loss = objective.loss(Window(inputs, targets, starts, rate=num_times / USUAL))
    factor = loss.minimised.item() / loss.mean * loss.rate
    usual = USUAL if kind == "sgd" else 1
    assert factor == pytest.approx(usual * num_times / USUAL)
