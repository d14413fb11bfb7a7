"""Ten kills at random moments, and a disk that is full: nothing is lost, and the final weights are the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from refrain.training.errors import SnapshotError
from refrain.training.optimize.learner import Learner
from refrain.training.optimize.progress import Progress
from refrain.training.optimize.snapshot import (
    SnapshotSource,
    find_snapshot,
    load_snapshot,
    save_snapshot,
)
from refrain.training.recipe.optimizer import OptimizerRecipe
from refrain.training.recipe.parsing import make_recipe
from refrain.training.run.train import train

DRIVER = Path(__file__).with_name("kill_driver.py")


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit_of_the_weights(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ours = load_file(tmp_path / "killed" / "model.safetensors")
    theirs = load_file(tmp_path / "whole" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_a_disk_that_takes_no_more_leaves_the_last_good_snapshot(tmp_path, largest_file) -> None:
    model = nn.Linear(50, 50)
    source = SnapshotSource(make_recipe({"name": "small"}).to_dict(), text_hash="")
    learner = Learner(model, OptimizerRecipe())
    folder = tmp_path / "snapshot"
    save_snapshot(folder, source, Progress(step=1), learner, None)
    good = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.zero_()
    with largest_file(5_000), pytest.raises(SnapshotError, match="cannot be written"):
        save_snapshot(folder, source, Progress(step=2), learner, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshot"]
    progress, _ = load_snapshot(find_snapshot(folder), source, learner)
    assert progress.step == 1
    assert torch.equal(model.weight, good)


def test_a_disk_that_takes_no_best_weights_ends_the_run_with_what_to_do(
    tmp_path, small_recipe, small_corpus, largest_file
) -> None:
    folder = tmp_path / "run"
    with largest_file(5_000), pytest.raises(SnapshotError, match=r"make room, then .* --resume"):
        train(small_recipe(), small_corpus, folder, log=lambda _: None)
    assert not list(folder.glob("best*"))
