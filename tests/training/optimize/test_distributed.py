"""Several processes that share every window come to what one process comes to alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from refrain.models.checkpoint import load_checkpoint
from refrain.models.config import LanguageModelConfig
from refrain.models.networks.language_model import LanguageModel
from refrain.models.state import RecurrentState
from refrain.training.data.batches.stream_windows import StreamWindows
from refrain.training.data.batches.window import IGNORED, Window
from refrain.training.errors import RecipeError
from refrain.training.optimize.distributed import SINGLE_PROCESS, World
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.optimize.precision import autocast
from refrain.training.optimize.shards import ShardedWindows, shard_window
from refrain.training.recipe.optimizer import OptimizerRecipe
from refrain.training.recipe.parsing import make_recipe
from refrain.training.run.train import train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("distributed_worker.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
CPU = torch.device("cpu")


def work(folder: Path, *launcher: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(WORKER), str(folder)]
    subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path]:
    """The same runs, of one process and of two."""
    alone, two = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("two")
    work(alone)
    work(two, *TORCHRUN)
    return alone, two


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run_log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("run", ["stream", "documents", "stream, taught"])
def test_two_processes_learn_what_one_learns(runs, run) -> None:
    alone, two = (events(folder / run) for folder in runs)
    assert [event["event"] for event in alone] == [event["event"] for event in two]
    for one, other in zip(alone, two, strict=True):
        for key in {"loss", "perplexity", "gradient_norm"} & one.keys():
            assert one[key] == pytest.approx(other[key], rel=1e-4, abs=2e-5)
    one, other = (load_checkpoint(folder / run) for folder in runs)
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(value, other.model.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_a_signal_to_one_process_stops_all_and_they_go_on_as_if_never_stopped(runs) -> None:
    _, two = runs
    assert sorted(path.name for path in two.glob("stopped-*")) == ["stopped-0", "stopped-1"]
    whole, cut = (load_checkpoint(two / name) for name in ("whole", "cut"))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name


def model(**options: float) -> LanguageModel:
    torch.manual_seed(1)
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_layers": 1}
    return LanguageModel(LanguageModelConfig(vocab_size=30, **sizes, **options))


def objective(trained: LanguageModel, kind: str) -> LanguageModelObjective:
    windows = StreamWindows([[2, 3]], eos_id=1, batch_size=1, window=4)
    recipe = OptimizerRecipe(kind=kind, activation_penalty=0.5, change_penalty=0.3)
    return LanguageModelObjective(trained, windows, windows, CPU, recipe)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("num_rows", [2, 5])
def test_the_shares_of_a_window_add_up_even_where_one_has_no_rows_or_no_targets(
    num_rows, kind, precision
) -> None:
    random = torch.Generator().manual_seed(2)
    inputs, targets = torch.randint(2, 30, (2, num_rows, 8), generator=random)
    targets[-1] = IGNORED
    window = Window(inputs, targets, torch.ones(num_rows, dtype=torch.bool), rate=0.7)
    whole, shared = model(), model()
    with autocast(CPU, precision):
        loss = objective(whole, kind).loss(window)
    loss.minimised.backward()
    total = num_tokens = 0
    for rank in range(3):
        with autocast(CPU, precision):
            part = objective(shared, kind).loss(shard_window(window, World(rank, 3)))
        assert part.rate == loss.rate
        part.minimised.backward()
        total, num_tokens = total + part.mean, num_tokens + part.num_tokens
    tolerance = 1e-5 if precision == "float32" else 2e-2
    assert total == pytest.approx(loss.mean, rel=tolerance)
    assert num_tokens == loss.num_tokens
    for one, other in zip(whole.parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("num_rows", [0, 1, 2, 3, 10])
def test_every_row_belongs_to_one_process(num_rows) -> None:
    rows = [row for rank in range(3) for row in range(num_rows)[World(rank, 3).shard(num_rows)]]
    assert rows == list(range(num_rows))


def test_shares_put_one_below_the_other_are_the_windows() -> None:
    source = StreamWindows([list(range(2, 90))], eos_id=1, batch_size=5, window=4, seed=1)
    shares = [ShardedWindows(source, World(rank, 2), seed=1).epoch(0) for rank in range(2)]
    for whole, upper, lower in zip(source.epoch(0), *shares, strict=True):
        assert torch.equal(torch.cat((upper.inputs_BT, lower.inputs_BT)), whole.inputs_BT)
        assert upper.target_share + lower.target_share == pytest.approx(1)
        assert upper.row_share + lower.row_share == pytest.approx(1)


def test_masks_differ_between_processes_and_depend_on_the_place_alone() -> None:
    source = StreamWindows([list(range(2, 90))], eos_id=1, batch_size=5, window=4, seed=1)

    def draws(rank: int, skipped: int) -> list[float]:
        torch.manual_seed(0)
        windows = ShardedWindows(source, World(rank, 3), seed=1).epoch(0)
        found = [torch.rand(1).item() for _ in windows]
        return found[skipped:]

    assert draws(1, 0)[2:] == draws(1, 2)
    assert len({*draws(0, 0), *draws(1, 0), *draws(2, 0)}) == 3 * source.num_windows


def test_alone_nothing_is_summed_or_split() -> None:
    state = RecurrentState((torch.ones(2, 3, 4),))
    assert SINGLE_PROCESS.gather_state(state) is state
    assert SINGLE_PROCESS.shard_state(state) is state
    wishes = (True, False)
    assert SINGLE_PROCESS.any_of(*wishes) == wishes
    assert SINGLE_PROCESS.total(1.5, 2) == (1.5, 2)


def test_a_state_is_split_as_rows_are() -> None:
    state = RecurrentState((torch.arange(5.0).view(1, 5, 1),))
    parts = [World(rank, 2).shard_state(state) for rank in range(2)]
    assert [part.num_rows for part in parts] == [2, 3]
    assert torch.equal(torch.cat([part.layers[0] for part in parts], dim=1), state.layers[0])


def test_several_processes_train_language_models_alone(tmp_path) -> None:
    recipe = make_recipe({"name": "a", "task": "ngram"})
    with pytest.raises(RecipeError, match="by one process, not 2"):
        train(recipe, None, tmp_path, world=World(0, 2))
