"""Dynamic evaluation that learns nothing is static, follows its rule, and restores the weights."""

import math

import numpy as np
import pytest
import torch

from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.evaluation import dynamic_evaluation
from refrain.training.evaluation.dynamic_evaluation import DynamicConfig, DynamicEvaluation
from tests.support.tiny_checkpoint import checkpoint, model_probs, stream


def test_dynamic_evaluation_that_learns_nothing_is_static_and_weights_come_back() -> None:
    tiny = checkpoint()
    boundary = tiny.tokenizer.eos_id
    ids = stream("test", tiny.tokenizer)
    before = [parameter.detach().clone() for parameter in tiny.model.parameters()]
    evaluation = DynamicEvaluation(tiny.model, [stream("train", tiny.tokenizer)], boundary)
    evaluation._precision = "float32"
    still = evaluation.cross_entropy([ids[:-1]], DynamicConfig(0.0, 0.0, segment=3))
    expected = -np.log(model_probs(tiny.model, ids, boundary)).mean()
    assert still == pytest.approx(expected, rel=1e-5)
    learning = evaluation.cross_entropy([ids[:-1]], DynamicConfig(1e-3, 0.0, segment=3))
    assert learning < still
    for parameter, kept in zip(tiny.model.parameters(), before, strict=True):
        assert torch.equal(parameter, kept)


def test_the_first_segment_of_dynamic_evaluation_is_not_learnt_from_before_it_is_predicted() -> (
    None
):
    tiny = checkpoint()
    boundary = tiny.tokenizer.eos_id
    ids = stream("test", tiny.tokenizer)
    ids = ids[: ids.index(boundary) + 1]
    evaluation = DynamicEvaluation(tiny.model, [stream("train", tiny.tokenizer)], boundary)
    evaluation._precision = "float32"
    whole = evaluation.cross_entropy([ids[:-1]], DynamicConfig(1.0, 0.0, segment=99))
    assert whole == pytest.approx(-np.log(model_probs(tiny.model, ids, boundary)).mean(), rel=1e-5)


def test_dynamic_evaluation_moves_the_weights_by_krauses_rule(monkeypatch) -> None:
    tiny = checkpoint()
    boundary = tiny.tokenizer.eos_id
    train, text = stream("train", tiny.tokenizer)[:-1], stream("test", tiny.tokenizer)[:11]
    monkeypatch.setattr(dynamic_evaluation, "choose_precision", lambda device: "float32")
    evaluation = DynamicEvaluation(tiny.model, [train], boundary)

    model = checkpoint().model
    weights = dict(model.named_parameters())

    def gradients(inputs, targets, state):
        """Gradients of the mean loss, each lane's state before it, and the state after."""
        logits, after = model(inputs, state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        found = torch.autograd.grad(loss, list(weights.values()))
        return loss.item(), dict(zip(weights, found, strict=True)), after.detach()

    squares, number, state = dict.fromkeys(weights, 0.0), 0, None
    windows = StreamWindows([train], eos_id=boundary, batch_size=32, window=20, seed=0)
    for window in windows.epoch(0):
        state = model.zero_state(len(window.inputs_BT)) if state is None else state
        _, found, state = gradients(window.inputs_BT, window.targets_BT, state)
        squares = {name: square + found[name] ** 2 for name, square in squares.items()}
        number += 1
    rms = {name: (square / number).sqrt() for name, square in squares.items()}
    mean = torch.cat([value.flatten() for value in rms.values()]).mean()
    trained = {name: weight.detach().clone() for name, weight in weights.items()}

    total, state = 0.0, model.zero_state(1)
    ids = torch.tensor([[boundary, *text, boundary]])
    for first in range(0, 12, 5):
        targets = ids[:, first + 1 : first + 6]
        loss, found, state = gradients(
            ids[:, first : first + 5][:, : targets.shape[1]], targets, state
        )
        total += loss * targets.shape[1]
        with torch.no_grad():
            for name, weight in weights.items():
                pull = (0.3 * rms[name] / mean).clamp(max=1)
                step = 2e-3 * found[name] / (rms[name] + 1e-3)
                weight += pull * (trained[name] - weight) - step
    measured = evaluation.cross_entropy([text], DynamicConfig(2e-3, 0.3, segment=5))
    assert measured == pytest.approx(total / 12, rel=1e-5)


@pytest.mark.parametrize("lowest", [(2e-4, 0.005), (0.0128, 0.005), (2e-4, 0.16), (2.5e-5, 0.02)])
def test_dynamic_evaluation_is_fitted_wherever_its_lowest_lies(lowest) -> None:
    def cost(config: DynamicConfig) -> float:
        distances = zip((config.learning_rate, config.forgetting), lowest, strict=True)
        return sum(math.log2(here / there) ** 2 for here, there in distances)

    best = dynamic_evaluation.fitted(cost, dynamic_evaluation.FIRST_TRIED)
    assert (best.learning_rate, best.forgetting) == pytest.approx(lowest)


def test_dynamic_evaluation_is_fitted_where_some_settings_diverge() -> None:
    def cost(config: DynamicConfig) -> float:
        return math.nan if config.learning_rate > 4e-4 else -1e3 * config.learning_rate

    assert dynamic_evaluation.fitted(
        cost, dynamic_evaluation.FIRST_TRIED
    ).learning_rate == pytest.approx(4e-4)
