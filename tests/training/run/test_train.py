"""A whole run: it learns, it resumes as if never stopped, it loses nothing, its figures are the model's."""

import itertools
import json
import math
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from refrain.models.checkpoint import load_checkpoint
from refrain.training.data.corpus import Example, LabelledCorpus, TextCorpus
from refrain.training.errors import (
    DivergedError,
    OutputExistsError,
    RecipeError,
    SnapshotError,
    TrainingStoppedError,
)
from refrain.training.optimize.objectives.language_model import LanguageModelObjective
from refrain.training.recipe.parsing import make_recipe
from refrain.training.reporting.listeners import RunListener, StepReport, StopAtStep
from refrain.training.run.train import train

SENTENCES = ["the cat sat on the mat.", "the dog sat on the log.", "a cat saw the dog."]
TEXT = TextCorpus(
    {"train": SENTENCES * 20, "validation": SENTENCES[:2], "test": SENTENCES[1:]}, unit="documents"
)
REVIEWS = LabelledCorpus(
    {
        "train": [Example("so good", 1), Example("so bad", 0)] * 20,
        "validation": [Example("good", 1), Example("bad", 0)],
        "test": [Example("bad bad", 0), Example("good so", 1)],
    },
    labels=("negative", "positive"),
    label_scores=(0.0, 1.0),
)


def recipe(*overrides: str, task: str = "language_model"):
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_layers": 2}
    values = {
        "name": "tiny",
        "task": task,
        "dtype": "float32",
        "data": {"dataset": "none"},
        "tokenizer": {"kind": "characters" if task == "language_model" else "words"},
        "model": {"order": 3} if task == "ngram" else sizes,
        "optimizer": {"learning_rate": 0.01},
        "budget": {"epochs": 3, "batch_size": 8, "window": 10, "snapshot_every": 4},
    }
    values["budget"]["precision"] = "float32"
    return make_recipe(values, overrides)


def quiet(_: str) -> None:
    """Do nothing."""


def test_a_run_leaves_a_checkpoint_whose_card_an_independent_network_reproduces(tmp_path) -> None:
    directory = train(recipe("budget.epochs=15"), TEXT, tmp_path / "tiny", log=quiet)
    assert sorted(path.name for path in directory.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "recipe.json",
        "run_log.jsonl",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    checkpoint = load_checkpoint(directory)
    weights = checkpoint.model.state_dict()
    twin = nn.LSTM(16, 16, num_layers=2, batch_first=True)
    twin.load_state_dict(
        {
            f"{name}_l{layer}": weights[f"stack.layers.{layer}.{name}"]
            for layer in range(2)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
    )
    total = count = 0
    for text in TEXT.documents["test"]:
        ids = torch.tensor([[1, *checkpoint.tokenizer.encode(text).ids, 1]])
        hidden, _ = twin(weights["embedding.weight"][ids[:, :-1]])
        logits = hidden @ weights["embedding.weight"].T + weights["output_bias"]
        total += nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    card = {(m.name, m.split): m.value for m in checkpoint.card.metrics if not m.model}
    int8 = {(m.name, m.split): m.value for m in checkpoint.card.metrics if m.model == "int8"}
    assert int8["perplexity", "test"] == pytest.approx(card["perplexity", "test"], rel=5e-3)
    assert card["perplexity", "test"] == pytest.approx(math.exp(total / count), rel=1e-4)
    assert card["perplexity", "test"] < checkpoint.tokenizer.vocab_size / 2
    assert card["unknown_rate", "test"] == 0


def test_a_card_carries_the_ngram_of_the_same_tokens(tmp_path) -> None:
    beside = load_checkpoint(
        train(recipe("card.baseline_order=3"), TEXT, tmp_path / "a", log=quiet)
    )
    counted = recipe("tokenizer.kind=characters", task="ngram")
    alone = load_checkpoint(train(counted, TEXT, tmp_path / "b", log=quiet))
    rows = {
        (m.name, m.split): m.value for m in beside.card.metrics if m.model.startswith("Kneser-Ney")
    }
    assert rows
    assert rows.items() <= {(m.name, m.split): m.value for m in alone.card.metrics}.items()


def test_windows_of_many_lengths_are_refused_for_documents(tmp_path) -> None:
    corpus = TextCorpus(TEXT.documents, unit="documents")
    with pytest.raises(RecipeError, match="window_jitter"):
        train(recipe("budget.window_jitter=3"), corpus, tmp_path / "a", log=quiet)


@pytest.mark.parametrize("unit", ["documents", "stream"])
@pytest.mark.parametrize("stop_at", [4, 9, 13])
def test_stopped_and_resumed_equals_never_stopped(tmp_path, killed_after, stop_at, unit) -> None:
    corpus = TextCorpus(TEXT.documents, unit=unit)
    settings = recipe("model.output_dropout=0.2")
    whole = load_checkpoint(train(settings, corpus, tmp_path / "whole", log=quiet))
    with killed_after(stop_at) as killer:
        train(settings, corpus, tmp_path / "cut", log=quiet, listeners=[killer])
    cut = load_checkpoint(train(settings, corpus, tmp_path / "cut", resume=True, log=quiet))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name
    steps = [
        event["step"]
        for event in map(json.loads, (tmp_path / "cut/run_log.jsonl").read_text().splitlines())
    ]
    assert steps == sorted(steps)


def test_a_run_killed_while_it_measures_is_unfinished_and_goes_on(tmp_path, monkeypatch) -> None:
    whole = load_checkpoint(train(recipe(), TEXT, tmp_path / "whole", log=quiet))

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("refrain.training.run.finish.evaluate_checkpoint", kill)
        train(recipe(), TEXT, tmp_path / "cut", log=quiet)
    assert not (tmp_path / "cut/config.json").exists()
    cut = load_checkpoint(train(recipe(), TEXT, tmp_path / "cut", resume=True, log=quiet))
    assert cut.card.metrics == whole.card.metrics


class Terminator(RunListener):
    """Sends this process SIGTERM in its seventh step."""

    def on_step(self, report: StepReport):
        if report.step == 7:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("listener", [Terminator(), StopAtStep(7)])
def test_a_signal_or_a_listener_keeps_a_snapshot_and_says_how_to_go_on(tmp_path, listener) -> None:
    whole = load_checkpoint(train(recipe(), TEXT, tmp_path / "whole", log=quiet))
    said: list[str] = []
    with pytest.raises(TrainingStoppedError, match=r"stopped at step 7 of .*--resume"):
        train(recipe(), TEXT, tmp_path / "cut", log=quiet, listeners=[listener])
    cut = load_checkpoint(train(recipe(), TEXT, tmp_path / "cut", resume=True, log=said.append))
    assert "going on from step 7" in said
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, cut.model.state_dict()[name]), name


def test_an_edited_text_is_not_resumed(tmp_path, killed_after) -> None:
    with killed_after(6) as killer:
        train(recipe(), TEXT, tmp_path / "cut", log=quiet, listeners=[killer])
    documents = {**TEXT.documents, "train": TEXT.documents["train"][::-1]}
    edited = TextCorpus(documents, unit=TEXT.unit)
    with pytest.raises(SnapshotError, match="another text"):
        train(recipe(), edited, tmp_path / "cut", resume=True, log=quiet)


def test_overwriting_takes_away_what_a_run_left_and_only_once_the_new_one_is_sound(
    tmp_path,
) -> None:
    directory = train(recipe("budget.epochs=1"), TEXT, tmp_path / "a", log=quiet)
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(RecipeError):
        train(recipe("model.cell=lsmt"), TEXT, directory, overwrite=True, log=quiet)
    assert load_checkpoint(directory)
    train(recipe("budget.epochs=1", "seed=2"), TEXT, directory, overwrite=True, log=quiet)
    assert (directory / "notes.txt").read_text() == "mine"


def test_the_best_weights_are_kept_not_the_last(tmp_path, monkeypatch) -> None:
    seen: list[torch.Tensor] = []

    def validate(self: LanguageModelObjective, check=LanguageModelObjective.validate):
        bias = self.model.output_bias
        if len(seen) == 2:
            with torch.no_grad():
                bias[:3] += 50
        seen.append(bias.detach().clone())
        return check(self)

    monkeypatch.setattr(LanguageModelObjective, "validate", validate)
    model = load_checkpoint(train(recipe(), TEXT, tmp_path / "a", log=quiet)).model
    assert len(seen) == 3
    assert torch.equal(model.output_bias, seen[1])


def test_an_unfinished_or_finished_output_is_never_overwritten_by_accident(tmp_path) -> None:
    train(recipe("budget.epochs=1"), TEXT, tmp_path / "a", log=quiet)
    with pytest.raises(OutputExistsError, match="finished checkpoint"):
        train(recipe(), TEXT, tmp_path / "a", log=quiet)
    (tmp_path / "b" / "snapshot").mkdir(parents=True)
    (tmp_path / "b" / "snapshot" / "progress.json").write_text("{}")
    with pytest.raises(OutputExistsError, match="--resume"):
        train(recipe(), TEXT, tmp_path / "b", log=quiet)


def test_a_classifier_learns_and_its_card_says_how_well(tmp_path) -> None:
    directory = train(recipe(task="classifier"), REVIEWS, tmp_path / "judge", log=quiet)
    checkpoint = load_checkpoint(directory)
    assert {(m.name, m.split, m.value) for m in checkpoint.card.metrics} == {
        ("accuracy", "validation", 1.0),
        ("accuracy", "test", 1.0),
    }
    assert checkpoint.config.labels == ("negative", "positive")


def test_an_ngram_recipe_gives_a_checkpoint_too(tmp_path) -> None:
    checkpoint = load_checkpoint(train(recipe(task="ngram"), TEXT, tmp_path / "counts", log=quiet))
    assert checkpoint.task == "ngram"
    card = {(m.name, m.split): m.value for m in checkpoint.card.metrics}
    assert 1 < card["perplexity", "test"] < 10


def test_a_run_is_validated_at_its_end_however_rarely_else(tmp_path) -> None:
    settings = recipe("budget.epochs=1", "budget.validate_every=1000000")
    assert load_checkpoint(train(settings, TEXT, tmp_path / "a", log=quiet)).card.metrics


def test_a_corpus_of_the_wrong_kind_is_refused(tmp_path) -> None:
    with pytest.raises(RecipeError, match="labelled examples"):
        train(recipe(task="classifier"), TEXT, tmp_path / "a", log=quiet)
    with pytest.raises(RecipeError, match="corpus of texts"):
        train(recipe(), REVIEWS, tmp_path / "b", log=quiet)


def test_an_impossible_model_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(RecipeError, match="hidden_size"):
        train(recipe("model.hidden_size=0"), TEXT, tmp_path / "a", log=quiet)
    with pytest.raises(RecipeError, match="colour"):
        train(recipe("model.colour=1"), TEXT, tmp_path / "b", log=quiet)


def test_a_gradient_that_is_no_number_stops_the_run_and_says_what_to_do(tmp_path) -> None:
    with pytest.raises(DivergedError, match="learning_rate"):
        train(recipe("optimizer.learning_rate=1e38"), TEXT, tmp_path / "a", log=quiet)


def test_the_first_loss_is_the_entropy_of_the_token_frequencies(tmp_path) -> None:
    directory = train(recipe("budget.epochs=1"), TEXT, Path(tmp_path / "a"), log=quiet)
    first = json.loads((directory / "run_log.jsonl").read_text().splitlines()[0])
    text = "".join(TEXT.documents["train"])
    counts = {c: text.count(c) for c in set(text)} | {"<eos>": 60}
    total = sum(counts.values())
    entropy = -sum(n / total * math.log(n / total) for n in counts.values())
    assert first["loss"] == pytest.approx(entropy, rel=0.15)


def test_a_classifier_starts_from_a_language_model(tmp_path) -> None:
    reviews = TextCorpus(
        {"train": ["so good", "so bad"] * 20, "validation": ["so"], "test": ["bad"]},
        unit="documents",
    )
    settings = recipe("model.num_layers=1", "tokenizer.kind=words", "budget.epochs=1")
    source = load_checkpoint(train(settings, reviews, tmp_path / "lm", log=quiet))
    start = recipe(
        f"start_from={tmp_path / 'lm'}",
        "optimizer.learning_rate=1e-12",
        "optimizer.weight_decay=0",
        "budget.epochs=1",
        "model.num_layers=1",
        task="classifier",
    )
    judge = load_checkpoint(train(start, REVIEWS, tmp_path / "judge", log=quiet))
    assert judge.tokenizer.to_json() == source.tokenizer.to_json()
    torch.testing.assert_close(judge.model.embedding.weight, source.model.embedding.weight)
    torch.testing.assert_close(
        judge.model.stack.forward_layers[0].weight_hh, source.model.stack.layers[0].weight_hh
    )
    other = recipe(f"start_from={tmp_path / 'lm'}", "model.hidden_size=8", task="classifier")
    with pytest.raises(RecipeError, match="other sizes"):
        train(other, REVIEWS, tmp_path / "c", log=quiet)
    with pytest.raises(RecipeError, match="not a recurrent language model"):
        train(
            recipe(f"start_from={tmp_path / 'judge'}", task="classifier"),
            REVIEWS,
            tmp_path / "d",
            log=quiet,
        )


@pytest.mark.parametrize(
    ("overrides", "spoilt", "num_sound"),
    [
        ((), "loss", 6),
        (("budget.epochs=1", "budget.batch_size=60", "budget.window=99"), "validate", 0),
    ],
)
def test_a_number_that_is_none_names_step_rate_and_remedy(
    tmp_path, monkeypatch, overrides, spoilt, num_sound
) -> None:
    measure, calls = getattr(LanguageModelObjective, spoilt), itertools.count()

    def spoil(self: LanguageModelObjective, *batch: object):
        if next(calls) == num_sound:
            with torch.no_grad():
                self.model.output_bias.fill_(math.nan)
        return measure(self, *batch)

    monkeypatch.setattr(LanguageModelObjective, spoilt, spoil)
    with pytest.raises(DivergedError) as error:
        train(recipe(*overrides), TEXT, tmp_path / "a", log=quiet)
    message = str(error.value)
    assert "learning_rate (it is 0.01" in message
    assert "clip_norm (it is 1)" in message
    if overrides:
        assert "the validation score is nan at step 1," in message
        assert "No snapshot was due yet" in message
    else:
        assert "the loss is nan at step 6, learning rate 0.0" in message
        assert "The last snapshot, of step 4, is kept." in message
        assert (tmp_path / "a/snapshot/progress.json").exists()


def test_a_snapshot_from_before_a_key_of_the_recipe_was_born_still_resumes(
    tmp_path, killed_after
) -> None:
    with killed_after(6) as killer:
        train(recipe(), TEXT, tmp_path / "cut", log=quiet, listeners=[killer])
    path = tmp_path / "cut/snapshot/progress.json"
    facts = json.loads(path.read_text())
    del facts["recipe"]["budget"]["patience"]
    for name in ("best_step", "best_figures", "num_worse"):
        del facts["progress"][name]
    path.write_text(json.dumps(facts))
    with pytest.raises(SnapshotError, match="another recipe"):
        train(recipe("budget.patience=2"), TEXT, tmp_path / "cut", resume=True, log=quiet)
    assert load_checkpoint(train(recipe(), TEXT, tmp_path / "cut", resume=True, log=quiet))
