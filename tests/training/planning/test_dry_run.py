"""What a dry run says is what the run then has."""

import resource

import torch

from refrain.models.checkpoint import load_checkpoint
from refrain.training.data.corpus import Example, LabelledCorpus
from refrain.training.optimize.optimizer import make_optimizer, take_gradients
from refrain.training.planning.dry_run import dry_run, parameters_by_part
from refrain.training.planning.memory import estimate_memory
from refrain.training.planning.probe import count_saved, measure_steps
from refrain.training.recipe.parsing import make_recipe
from refrain.training.run.train import train
from refrain.training.setup.prepare import prepare

CPU = torch.device("cpu")


def figures_of(lines: list[str]) -> dict[str, str]:
    """Take the first word behind each name that stands in a column."""
    rows = [line.strip().split("  ", 1) for line in lines if line.startswith("  ")]
    return {row[0]: row[1].split()[0] for row in rows if len(row) == 2}


def test_parameters_tokens_and_steps_are_those_of_the_run(
    tmp_path, monkeypatch, small_corpus, small_recipe
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    dry_run(small_recipe(), small_corpus, log=said.append)
    assert not list(tmp_path.iterdir())
    reported = figures_of(said)
    checkpoint = load_checkpoint(
        train(small_recipe(), small_corpus, tmp_path / "a", log=lambda _: None)
    )
    facts = checkpoint.card.training
    assert int(reported["steps in 3 epochs"]) == facts["steps"]
    assert int(reported["vocabulary"]) == checkpoint.tokenizer.vocab_size
    texts = small_corpus.documents["train"]
    assert int(reported["tokens an epoch"].replace(",", "")) == sum(len(text) + 1 for text in texts)
    assert sum(parameters_by_part(checkpoint.model).values()) == facts["parameters"]
    assert {"embedding", "output_bias", "stack.layers.0", "stack.layers.1"} == set(
        parameters_by_part(checkpoint.model)
    )
    assert "whole run" in "\n".join(said)


def test_memory_counts_what_tensors_take(small_corpus, small_recipe) -> None:
    recipe = small_recipe("optimizer.averaging=0.9")
    prepared = prepare(recipe, small_corpus, CPU)
    objective, parameters = prepared.objective, list(prepared.model.parameters())
    probe = measure_steps(recipe, objective, CPU, "float32")
    parts = estimate_memory(recipe, prepared.model, probe, CPU, "float32")
    optimizer = make_optimizer(prepared.model, recipe.optimizer)
    loss = objective.loss(next(objective.epoch(0)))
    take_gradients(loss.minimised, parameters, clip_norm=1.0)
    optimizer.step()
    states = [
        value for state in optimizer.state.values() for value in state.values() if value.dim() > 0
    ]
    held = parts["Python, torch and the text"] + parts["weights"]
    assert (
        1e8 < held == probe.held_bytes < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    assert parts["weights"] == sum(parameter.nbytes for parameter in parameters)
    assert parts["gradients"] == sum(parameter.grad.nbytes for parameter in parameters)
    assert parts["optimizer state"] == sum(state.nbytes for state in states)
    assert parts["average of the weights"] == parts["weights"]
    assert parts["activations of a window"] > 0
    assert probe.train_speed > 0
    assert probe.read_speed > 0


def test_what_is_kept_for_the_backward_pass_is_counted_once() -> None:
    weight = torch.ones(100, 100, requires_grad=True)
    inputs = torch.ones(50, 100)
    with count_saved([weight]) as saved:
        ((inputs @ weight) * (inputs @ weight)).sum()
    assert saved.num_bytes == 4 * (50 * 100 + 2 * 50 * 100)


def test_ngrams_and_classifiers_have_dry_runs_too(small_corpus) -> None:
    said: list[str] = []
    ngram = make_recipe({"name": "counts", "task": "ngram", "model": {"order": 3}})
    dry_run(ngram, small_corpus, log=said.append)
    assert "n-grams up to order 3, at most" in figures_of(said)
    reviews = LabelledCorpus(
        {
            "train": [Example("so good", 1), Example("so bad", 0)] * 20,
            "validation": [Example("good", 1)],
            "test": [Example("bad", 0)],
        },
        labels=("negative", "positive"),
        label_scores=(0.0, 1.0),
    )
    sizes = {"embedding_size": 16, "hidden_size": 16}
    judge = make_recipe({"name": "judge", "task": "classifier", "model": sizes})
    dry_run(judge, reviews, log=said.append)
    assert figures_of(said)["tokens an epoch"] == "120"
