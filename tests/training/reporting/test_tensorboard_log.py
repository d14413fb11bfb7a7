"""TensorBoard reads back what a run reported it, each step once."""

import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from refrain.training.errors import MissingPackageError
from refrain.training.reporting.tensorboard_log import TensorBoardLog
from refrain.training.run.train import train


def quiet(_: str) -> None:
    """Do nothing."""


def read(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_figures_samples_and_recipe_are_read_back(tmp_path, small_corpus, small_recipe) -> None:
    recipe = small_recipe("budget.epochs=5")
    log = TensorBoardLog(tmp_path / "events")
    train(recipe, small_corpus, tmp_path / "a", log=quiet, listeners=[log])
    events = read(tmp_path / "events")
    assert {"train/loss", "train/gradient_norm", "train/learning_rate"} < set(
        events.Tags()["scalars"]
    )
    assert [event.step for event in events.Scalars("train/loss")][:3] == [1, 20, 40]
    perplexities = [event.value for event in events.Scalars("validation/perplexity")]
    assert len(perplexities) == 5
    assert perplexities[-1] < perplexities[0]
    samples = events.Tensors("sample/text_summary")
    assert make_ndarray(samples[-1].tensor_proto)[0].decode().startswith("    ")
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    reported = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert reported["optimizer.learning_rate"].number_value == 0.01
    assert reported["tokenizer.kind"].string_value == "characters"


def test_a_resumed_run_goes_on_without_a_point_twice(
    tmp_path, killed_after, small_corpus, small_recipe
) -> None:
    recipe = small_recipe("budget.epochs=5", "budget.snapshot_every=15")
    with killed_after(27) as killer:
        log = TensorBoardLog(tmp_path / "events")
        train(recipe, small_corpus, tmp_path / "a", log=quiet, listeners=[log, killer])
    log = TensorBoardLog(tmp_path / "events")
    train(recipe, small_corpus, tmp_path / "a", resume=True, log=quiet, listeners=[log])
    events = read(tmp_path / "events")
    assert [event.step for event in events.Scalars("train/loss")][:4] == [1, 20, 40, 60]
    steps = [event.step for event in events.Scalars("validation/loss")]
    assert len(set(steps)) == len(steps) == 5


def test_without_tensorboard_the_message_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingPackageError, match=r"--editable '.\[tensorboard\]'"):
        TensorBoardLog(tmp_path)
