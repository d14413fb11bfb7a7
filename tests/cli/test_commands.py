"""The command line as a person uses it: files in, checkpoint out, messages for mistakes."""

import json

import pytest
import torch

from refrain.cli.main import main
from refrain.models.checkpoint import load_checkpoint
from refrain.training.errors import RecipeError
from refrain.training.evaluation import adaptation

TEXT = "".join(f"The cat number {n} sat on the mat, and it wasn't glad.\n" for n in range(120))
SMALL = ["model.hidden_size=16", "model.embedding_size=16", "budget.epochs=1"]


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "cats.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_a_text_file_becomes_a_checkpoint_that_evaluates(tmp_path, text_file, capsys, kind) -> None:
    output = tmp_path / "models" / "cats"
    flags = ["--tokenizer", kind, "--output", str(output), "--set", *SMALL]
    assert main(["train", "--text", str(text_file), *flags]) == 0
    assert load_checkpoint(output).card.dataset == "cats.txt"
    assert (output / "run_log.jsonl").exists()
    capsys.readouterr()
    assert main(["evaluate", str(output), "--data", str(text_file)]) == 0
    table = capsys.readouterr().out
    assert "perplexity" in table
    assert "bits_per_character" in table


def test_a_recipe_may_name_a_text_file(tmp_path, text_file, capsys) -> None:
    recipe = tmp_path / "cats.toml"
    recipe.write_text(f'[data]\ntext = "{text_file}"\n')
    assert main(["train", str(recipe), "--output", str(tmp_path / "cats"), "--set", *SMALL]) == 0
    assert load_checkpoint(tmp_path / "cats").card.dataset == "cats.txt"
    assert "the checkpoint is in" in capsys.readouterr().out


def test_a_recipe_without_its_corpus_exits_with_2_and_reports_how_to_get_it(
    tmp_path, capsys
) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('[data]\ndataset = "tang"\n')
    assert main(["train", str(recipe), "--data", str(tmp_path)]) == 2
    assert "how to get it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "either a recipe file or --text"),
        (["train", "none.toml"], "no recipe at none.toml"),
        (["train", "--text", "none.txt"], "cannot be read"),
        (["evaluate", "nowhere"], "no model named 'nowhere'"),
    ],
)
def test_a_mistake_exits_with_2_and_a_message(capsys, arguments, message) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_datasets_lists_every_corpus_with_its_licence(tmp_path, capsys) -> None:
    assert main(["datasets", "--data", str(tmp_path)]) == 0
    listing = capsys.readouterr().out
    assert "tang (missing)" in listing
    assert "LDC user agreement" in listing


def test_an_unfinished_run_is_resumed_by_the_command(tmp_path, text_file, monkeypatch) -> None:
    from refrain.training.reporting.listeners import StopAtStep

    output = tmp_path / "cats"
    command = ["train", "--text", str(text_file), "--output", str(output)]
    settings = ["--set", *SMALL, "budget.snapshot_every=2", "budget.window=8"]

    with monkeypatch.context() as patch:
        patch.setattr("refrain.training.run.fit.progress_display", lambda _: StopAtStep(5))
        assert main([*command, *settings]) == 130
    assert main([*command, *settings]) == 2
    assert main([*command, "--resume", *settings]) == 0
    events = [json.loads(line) for line in (output / "run_log.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "validation"


def test_a_dry_run_and_a_learning_rate_test_leave_nothing_behind(
    tmp_path, text_file, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    flags = ["--text", str(text_file), "--seed", "3", "--set", *SMALL]
    assert main(["train", "--dry-run", *flags]) == 0
    assert main(["find-lr", "--steps", "10", *flags]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    printed = capsys.readouterr()
    assert "the whole run" in printed.out
    assert "steepest descent at" in printed.out
    assert "are little" in printed.err


def test_a_run_reports_what_it_is_about_to_do_and_what_to_do_next(
    tmp_path, text_file, capsys
) -> None:
    output = tmp_path / "models" / "cats"
    flags = ["--text", str(text_file), "--output", str(output), "--seed", "3"]
    assert main(["train", *flags, "--set", *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cats: training a language model on ")
    assert "1 epoch, seed 3, to " in lines[0]
    assert any(line.startswith("kept step ") for line in lines)
    assert any(line.startswith("test: perplexity ") for line in lines)
    assert lines[-1] == f"    refrain serve --models {output.parent}"


@pytest.mark.parametrize("name", ["other.txt", "changed/{}"])
@pytest.mark.parametrize("flags", [["--with", "cache"], ["--update-card"]])
def test_figures_of_another_text_are_not_for_the_card(
    tmp_path, text_file, capsys, flags, name
) -> None:
    output, other = tmp_path / "cats", tmp_path / name.format(text_file.name)
    other.parent.mkdir(exist_ok=True)
    other.write_text(text_file.read_text() + "The dog sat.\n")
    assert main(["train", "--text", str(text_file), "--output", str(output), "--set", *SMALL]) == 0
    before = load_checkpoint(output).card
    assert main(["evaluate", str(output), "--data", str(other), *flags]) == 2
    assert "cats was not trained on" in capsys.readouterr().err
    assert load_checkpoint(output).card == before


def test_what_was_measured_is_on_the_card_though_the_next_figure_fails(
    tmp_path, text_file, monkeypatch
) -> None:
    def fail(_: object) -> None:
        raise RecipeError("interrupted")

    output = tmp_path / "cats"
    assert main(["train", "--text", str(text_file), "--output", str(output), "--set", *SMALL]) == 0
    monkeypatch.setattr(adaptation, "_blended_with_cache", fail)
    asked = ["--with", "kneser-ney", "cache", "--update-card"]
    assert main(["evaluate", str(output), "--data", str(text_file), *asked]) == 2
    names = [metric.model for metric in load_checkpoint(output).card.metrics]
    assert sum("Kneser-Ney 5-gram" in name for name in names) == 2


def test_evaluate_names_a_file_that_is_not_there(tmp_path, text_file, capsys) -> None:
    output = tmp_path / "cats"
    assert main(["train", "--text", str(text_file), "--output", str(output), "--set", *SMALL]) == 0
    assert main(["evaluate", str(output), "--data", "nope.txt"]) == 2
    assert "--data nope.txt: there is no such file" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("command", [["train"], ["find-lr"], ["train", "--dry-run"]])
def test_a_device_that_is_not_there_is_refused(tmp_path, text_file, capsys, command) -> None:
    output = tmp_path / "a"
    flags = ["--text", str(text_file), "--device", "cuda", "--output", str(output)]
    assert main([*command, *flags]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert not list(tmp_path.glob("a/*"))
