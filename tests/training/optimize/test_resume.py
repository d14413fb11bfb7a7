"""A run with everything that has a memory of its own resumes to the bit; a plateau lowers the learning rate."""

import json

import pytest
import torch

from refrain.models.checkpoint import load_checkpoint
from refrain.training.data.corpus import TextCorpus
from refrain.training.errors import RecipeError, SnapshotError
from refrain.training.optimize.snapshot import BEST
from refrain.training.run.train import train

EVERYTHING = (
    "model.hidden_dropout=0.2",
    "model.weight_dropout=0.2",
    "model.embedding_dropout=0.1",
    "optimizer.averaging=0.9",
    "optimizer.schedule=on_plateau",
    "optimizer.activation_penalty=1.0",
    "optimizer.change_penalty=1.0",
    "optimizer.num_sampled=12",
    "budget.max_windows=7",
    "budget.window_jitter=2.0",
    "budget.precision=bfloat16",
)


def quiet(_: str) -> None:
    """Do nothing."""


def rates(folder) -> dict[int, float]:
    events = map(json.loads, (folder / "run_log.jsonl").read_text().splitlines())
    return {e["step"]: e["learning_rate"] for e in events if e["event"] == "step"}


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("cell", ["lstm", "jordan"])
def test_a_run_with_every_memory_resumes_to_the_bit(
    tmp_path, killed_after, small_recipe, small_corpus, kind, cell
) -> None:
    corpus = TextCorpus(small_corpus.documents, unit="stream")
    settings = small_recipe(*EVERYTHING, f"optimizer.kind={kind}", f"model.cell={cell}")
    whole = load_checkpoint(train(settings, corpus, tmp_path / "whole", log=quiet))

    with killed_after(17) as killer:
        train(settings, corpus, tmp_path / "cut", log=quiet, listeners=[killer])
    cut = load_checkpoint(train(settings, corpus, tmp_path / "cut", resume=True, log=quiet))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name


def test_a_resumed_run_has_the_best_weights_of_its_snapshot(
    tmp_path, killed_after, small_recipe, small_corpus
) -> None:
    settings = small_recipe("budget.validate_every=5", "budget.snapshot_every=7")
    folder = tmp_path / "a"
    with killed_after(9) as killer:
        train(settings, small_corpus, folder, log=quiet, listeners=[killer])
    kept = (folder / BEST).read_bytes()
    with killed_after(12) as killer:
        train(settings, small_corpus, folder, log=quiet, resume=True, listeners=[killer])
    assert (folder / BEST).read_bytes() != kept
    with killed_after(7) as killer:
        train(settings, small_corpus, folder, log=quiet, resume=True, listeners=[killer])
    assert (folder / BEST).read_bytes() == kept


@pytest.mark.parametrize(
    "change", ["card.license=MIT", "budget.snapshot_every=3", "optimizer.decay_after=7"]
)
def test_what_changes_no_weight_hinders_no_resumption(
    tmp_path, killed_after, small_recipe, small_corpus, change
) -> None:
    with killed_after(9) as killer:
        train(small_recipe(), small_corpus, tmp_path / "a", log=quiet, listeners=[killer])
    train(small_recipe(change), small_corpus, tmp_path / "a", log=quiet, resume=True)


def test_another_recipe_is_told_from_the_snapshots_by_its_keys(
    tmp_path, killed_after, small_recipe, small_corpus
) -> None:
    with killed_after(9) as killer:
        train(small_recipe(), small_corpus, tmp_path / "a", log=quiet, listeners=[killer])
    other = small_recipe("optimizer.learning_rate=0.02", "model.hidden_size=8")
    with pytest.raises(SnapshotError) as caught:
        train(other, small_corpus, tmp_path / "a", log=quiet, resume=True)
    assert "model.hidden_size was 16 and is 8" in str(caught.value)
    assert "optimizer.learning_rate was 0.01 and is 0.02" in str(caught.value)


def test_a_run_with_nothing_to_go_on_with_says_so(tmp_path, small_recipe, small_corpus) -> None:
    said: list[str] = []
    settings = small_recipe("budget.epochs=1")
    train(settings, small_corpus, tmp_path / "a", log=said.append, resume=True)
    assert any("nothing to go on with" in line for line in said)


def test_the_rate_falls_with_each_epoch_from_the_first_that_is_hardly_better(
    tmp_path, monkeypatch, small_recipe, small_corpus
) -> None:
    scores = iter([3.0, 2.0, 1.999, 1.0, 0.5])

    def validate(_: object) -> dict[str, float]:
        score = next(scores)
        return {"perplexity": score, "score": score}

    monkeypatch.setattr(
        "refrain.training.optimize.objectives.language_model.LanguageModelObjective.validate",
        validate,
    )
    monkeypatch.setattr("refrain.training.reporting.listeners.LOG_EVERY", 1)
    settings = small_recipe("optimizer.schedule=on_plateau", "budget.epochs=5")
    train(settings, small_corpus, tmp_path / "a", log=quiet)
    found = list(dict.fromkeys(rates(tmp_path / "a").values()))
    assert found == [0.01, 0.005, 0.0025]


def test_a_plateau_is_one_of_epochs(small_recipe) -> None:
    with pytest.raises(RecipeError, match="validate_every"):
        small_recipe("optimizer.schedule=on_plateau", "budget.validate_every=5")


def test_another_teacher_is_not_resumed_with(
    tmp_path, killed_after, small_recipe, small_corpus
) -> None:
    teacher = train(small_recipe("budget.epochs=1"), small_corpus, tmp_path / "teacher", log=quiet)
    settings = small_recipe(f"distillation.teacher={teacher}")

    with killed_after(6) as killer:
        train(settings, small_corpus, tmp_path / "cut", log=quiet, listeners=[killer])
    train(
        small_recipe("budget.epochs=1", "seed=2"),
        small_corpus,
        teacher,
        overwrite=True,
        log=quiet,
    )
    with pytest.raises(SnapshotError, match="a teacher has changed"):
        train(settings, small_corpus, tmp_path / "cut", resume=True, log=quiet)
