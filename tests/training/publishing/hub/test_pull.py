"""A checkpoint is pulled whole or not at all, and nothing but a checkpoint."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from refrain.cli.main import main
from refrain.models.checkpoint import find_checkpoints, load_checkpoint
from refrain.training.evaluation.evaluate import cross_entropy

ROOT = Path(__file__).parents[4]

# The hub's library sends large files in a way that the library below it calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def loss(directory: Path) -> float:
    loaded = load_checkpoint(directory)
    texts = [loaded.tokenizer.encode("春眠不觉晓").ids]
    return cross_entropy(loaded.model, texts, 1, stream=False)


@pytest.fixture
def pull(tmp_path):
    def run(*arguments: str) -> int:
        return main(["models", "pull", *arguments, "--models", str(tmp_path / "models")])

    return run


@pytest.fixture
def on_hub(hub, checkpoint):
    """A repository with a checkpoint, and with files that are none of it."""
    directory = checkpoint()
    others = {
        "pytorch_model.bin": b"pickle",
        "old/config.json": b"{}",
        "run.py": b"",
        ".gitattributes": b"",
    }
    hub.add("me/tiny", {**contents(directory), **others})
    return directory


def test_what_was_pushed_is_pulled_byte_for_byte(hub, checkpoint, pull, tmp_path) -> None:
    pushed = checkpoint()
    (pushed / "run_log.jsonl").write_text("{}\n")
    assert main(["models", "push", str(pushed), "me/tiny"]) == 0
    assert pull("me/tiny", "--name", "again") == 0
    pulled = tmp_path / "models" / "again"
    assert contents(pulled) == contents(pushed)
    assert loss(pulled) == loss(pushed)
    assert not any(path.is_symlink() for path in pulled.iterdir())


def test_only_the_files_of_a_checkpoint_are_fetched(hub, on_hub, pull, tmp_path, capsys) -> None:
    assert pull("me/tiny") == 0
    assert contents(tmp_path / "models" / "tiny") == contents(on_hub)
    fetched = {
        path.rpartition("/")[2] for path in hub.requests if "/resolve/" in path and "GET" in path
    }
    assert fetched == set(contents(on_hub))
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["tiny"]
    assert "refrain serve --models" in capsys.readouterr().out


def test_a_branch_is_pulled_by_its_name(hub, on_hub, checkpoint, pull, tmp_path) -> None:
    other = checkpoint("other", licence="CC BY 4.0")
    hub.repositories["me/tiny"].commit("v2", contents(other))
    assert pull("me/tiny", "--revision", "v2", "--name", "second") == 0
    assert load_checkpoint(tmp_path / "models" / "second").card.license == "CC BY 4.0"


def test_the_cache_answers_when_offline(on_hub, pull, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull("me/tiny") == 2
    assert "is not in the cache" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert pull("me/tiny") == 0
    shutil.rmtree(tmp_path / "models" / "tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull("me/tiny") == 0
    assert contents(tmp_path / "models" / "tiny") == contents(on_hub)


def test_what_cannot_be_fetched_whole_leaves_nothing(hub, on_hub, pull, tmp_path, capsys) -> None:
    hub.broken.add("model.safetensors")
    assert pull("me/tiny") == 2
    assert "me/tiny" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


FAULTS = {
    "half the weights": ("model.safetensors", lambda content: content[:40], "is it truncated"),
    "another format": (
        "config.json",
        lambda _: b'{"model_type": "gpt2"}',
        "not a Refrain checkpoint",
    ),
    "no tokenizer": ("tokenizer.json", lambda _: None, "tokenizer.json: is missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_checkpoint_never_appears(hub, on_hub, pull, tmp_path, capsys, fault) -> None:
    name, change, message = FAULTS[fault]
    files = dict(hub.repositories["me/tiny"].files("main"))
    files[name] = change(files[name])
    hub.add("me/tiny", {path: content for path, content in files.items() if content is not None})
    assert pull("me/tiny") == 2
    printed = capsys.readouterr().err
    assert "me/tiny holds no checkpoint" in printed
    assert message in printed
    assert list((tmp_path / "models").iterdir()) == []


def test_a_folder_is_replaced_only_when_told_to(hub, on_hub, checkpoint, pull, tmp_path) -> None:
    target = tmp_path / "models" / "tiny"
    shutil.copytree(checkpoint("old", licence="CC BY 4.0"), target)
    assert pull("me/tiny") == 2
    assert hub.requests == []
    assert load_checkpoint(target).card.license == "CC BY 4.0"
    assert pull("me/tiny", "--overwrite") == 0
    assert contents(target) == contents(on_hub)
    assert find_checkpoints(tmp_path / "models") == [target]


def test_a_folder_with_other_things_is_never_replaced(on_hub, pull, tmp_path, capsys) -> None:
    target = tmp_path / "models" / "tiny"
    (target / "snapshot").mkdir(parents=True)
    assert pull("me/tiny", "--overwrite") == 2
    assert "more than a checkpoint (snapshot)" in capsys.readouterr().err
    assert (target / "snapshot").is_dir()


def test_a_folder_that_cannot_be_written_is_named(on_hub, tmp_path, capsys) -> None:
    (tmp_path / "models").write_text("a file")
    target = tmp_path / "models" / "tiny"
    assert main(["models", "pull", "me/tiny", "--models", str(tmp_path / "models")]) == 2
    assert f"{target} cannot be written" in capsys.readouterr().err


REFUSALS = {
    "no repository": (["me/none"], "shows no repository me/none"),
    "no revision": (["me/tiny", "--revision", "v9"], "no branch, tag or commit v9"),
    "no name of a repository": (["a/b/c"], "write OWNER/NAME"),
    "no name of a folder": (["me/tiny", "--name", "../x"], "no name of a folder"),
    "a hidden folder": (["me/tiny", "--name", ".x"], "no name of a folder"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_mistake_is_refused_with_a_message(on_hub, pull, tmp_path, capsys, case) -> None:
    arguments, message = REFUSALS[case]
    assert pull(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_private_repository_needs_a_token(hub, on_hub, pull, monkeypatch, capsys) -> None:
    hub.repositories["me/tiny"].private = True
    monkeypatch.delenv("HF_TOKEN")
    assert pull("me/tiny") == 2
    assert "HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert pull("me/tiny") == 0


def test_without_the_package_the_message_says_what_to_install(pull, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert pull("me/tiny") == 2
    assert "--editable '.[hub]'" in capsys.readouterr().err


def test_the_environment_names_hub_token_and_cache(hub, checkpoint, environment, tmp_path) -> None:
    pushed, models = checkpoint(), tmp_path / "models"
    program = (
        "import sys; from refrain.cli.main import main; "
        f"sys.exit(main(['models', 'push', {str(pushed)!r}, 'me/far', '--private']) or "
        f"main(['models', 'pull', 'me/far', '--models', {str(models)!r}]))"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, **environment}, check=True
    )
    assert contents(models / "far") == contents(pushed)
    assert hub.repositories["me/far"].private
    assert list((tmp_path / "home" / "hub").glob("models--me--far/snapshots/*/config.json"))
