"""An MLflow store of files reads back what a run told it, each step once."""

import sys

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from refrain.training.errors import MissingPackageError, TrackingError
from refrain.training.reporting.mlflow_log import MlflowLog
from refrain.training.run.train import train


def quiet(_: str) -> None:
    """Do nothing."""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return tmp_path / "mlruns"


def only_run(store):
    client = MlflowClient(tracking_uri=store.as_uri())
    experiment = client.get_experiment_by_name("refrain")
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def steps_of(client, run, name: str) -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, name)]


def test_figures_samples_and_recipe_are_read_back(
    tmp_path, store, small_corpus, small_recipe
) -> None:
    log = MlflowLog(str(store), tmp_path / "a", quiet)
    train(small_recipe("budget.epochs=5"), small_corpus, tmp_path / "a", log=quiet, listeners=[log])
    client, run = only_run(store)
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.learning_rate"] == "0.01"
    assert run.data.params["model.hidden_size"] == "16"
    assert steps_of(client, run, "train/loss")[:3] == [1, 20, 40]
    history = client.get_metric_history(run.info.run_id, "validation/perplexity")
    assert len(history) == 5
    assert history[-1].value < history[0].value
    samples = list(store.glob("*/*/artifacts/samples/*.txt"))
    assert len(samples) == 5


def test_a_resumed_run_goes_on_in_the_same_run_without_a_point_twice(
    tmp_path, store, killed_after, small_corpus, small_recipe
) -> None:
    recipe = small_recipe("budget.epochs=5", "budget.snapshot_every=15")
    with killed_after(27) as killer:
        log = MlflowLog(str(store), tmp_path / "a", quiet)
        train(recipe, small_corpus, tmp_path / "a", log=quiet, listeners=[log, killer])
    assert only_run(store)[1].info.status == "FAILED"
    log = MlflowLog(str(store), tmp_path / "a", quiet)
    train(recipe, small_corpus, tmp_path / "a", resume=True, log=quiet, listeners=[log])
    client, run = only_run(store)
    assert run.info.status == "FINISHED"
    assert steps_of(client, run, "train/loss")[:4] == [1, 20, 40, 60]
    steps = steps_of(client, run, "validation/loss")
    assert len(set(steps)) == len(steps) == 5


def test_a_run_goes_on_when_mlflow_does_not(
    tmp_path, store, monkeypatch, small_corpus, small_recipe
) -> None:
    said: list[str] = []
    log = MlflowLog(str(store), tmp_path / "a", said.append)

    def refuse(*_, **__):
        raise MlflowException("the server is gone")

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    assert train(small_recipe(), small_corpus, tmp_path / "a", log=quiet, listeners=[log])
    assert said == ["MLflow gets no more points, the run goes on: the server is gone"]


def test_a_store_of_no_use_is_refused_before_the_run(tmp_path, store) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrackingError, match="--mlflow"):
        MlflowLog(str(tmp_path / "file"), tmp_path / "a", quiet)
    with pytest.raises(TrackingError, match="--mlflow"):
        MlflowLog("telegraph://nowhere", tmp_path / "a", quiet)


def test_without_mlflow_the_message_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match=r"--editable '.\[mlflow\]'"):
        MlflowLog(str(tmp_path), tmp_path / "a", quiet)
