"""The echo task and the cosines of truncated gradients."""

import numpy as np
import pytest

from refrain.training.errors import RecipeError
from refrain.training.studies.bptt import NUM_SYMBOLS, cosine, echo, measure, measure_gradient
from refrain.training.studies.elman_by_hand import ElmanWeights


def test_the_target_is_the_symbol_of_some_steps_before() -> None:
    inputs, targets = echo(np.random.default_rng(0), lag=5)
    symbols = inputs.argmax(1)
    assert (inputs.sum(1) == 1).all()
    assert targets[:5].tolist() == [0] * 5
    assert targets[5:].tolist() == symbols[:-5].tolist()


def test_the_cosine_of_matrices() -> None:
    one = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert cosine(one, 2 * one) == pytest.approx(1)
    assert cosine(one, np.array([[1.0, 0.0], [0.0, 0.0]])) == pytest.approx(3 / 5)


def test_a_reach_over_the_whole_sequence_truncates_nothing() -> None:
    random = np.random.default_rng(1)
    sizes = {"num_inputs": NUM_SYMBOLS, "num_outputs": NUM_SYMBOLS}
    weights = ElmanWeights.draw(random, num_hidden=8, **sizes)
    found = measure_gradient(weights, [echo(random, 2), echo(random, 2)], longest=60)
    assert found["reach"][-1] == pytest.approx(1)
    assert found["window"][-1] == pytest.approx(1)
    assert found["reach"][0] == pytest.approx(found["window"][0])


@pytest.mark.parametrize(("lag", "longest"), [(60, 24), (8, 61)])
def test_what_reaches_beyond_a_sequence_is_refused(lag, longest) -> None:
    with pytest.raises(RecipeError, match="60 steps"):
        measure(lag=lag, hidden_size=4, num_steps=1, longest=longest, seeds=[0])
