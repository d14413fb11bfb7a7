"""A checkpoint is sent in one commit, if it is whole and may be given away."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from refrain.cli.main import main

# The hub's library sends large files in a way that the library below it calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def push():
    return lambda directory, *flags: main(["models", "push", str(directory), "me/tiny", *flags])


def test_a_checkpoint_is_sent_in_one_commit_after_it_was_shown(
    hub, checkpoint, push, capsys
) -> None:
    directory = checkpoint()
    (directory / "snapshot").mkdir()
    (directory / "notes.txt").write_text("mine")
    assert push(directory, "--message", "First") == 0
    files = hub.repositories["me/tiny"].files("main")
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert len(hub.repositories["me/tiny"].commits) == 2
    assert ModelCard(hub.cards[0]).data.license == "mit"
    printed = capsys.readouterr().out
    assert f"{len(files['model.safetensors']):,} bytes  model.safetensors" in printed
    assert "left out: notes.txt, snapshot" in printed
    assert "licence: MIT" in printed
    assert f"done: {hub.url}/me/tiny/commit/" in printed


def test_a_dry_run_sends_nothing(hub, checkpoint, push, capsys) -> None:
    assert push(checkpoint(), "--dry-run") == 0
    assert hub.requests == []
    assert "model.safetensors" in capsys.readouterr().out


def test_a_branch_is_made_and_main_stays(hub, checkpoint, push) -> None:
    assert push(checkpoint()) == 0
    before = hub.repositories["me/tiny"].files("main")
    assert push(checkpoint("other", licence="CC BY 4.0"), "--revision", "v2") == 0
    assert hub.repositories["me/tiny"].files("main") == before
    assert b"CC BY 4.0" in hub.repositories["me/tiny"].files("v2")["config.json"]


def test_what_a_checkpoint_no_longer_has_is_taken_away(hub, checkpoint, push) -> None:
    directory = checkpoint()
    hub.add("me/tiny", {"run_log.jsonl": b"of an older run", "images/a.png": b"kept"})
    assert push(directory) == 0
    files = hub.repositories["me/tiny"].files("main")
    assert "run_log.jsonl" not in files
    assert files["images/a.png"] == b"kept"


def say_nothing_of_it(directory: Path) -> None:
    """Clear the licence in the card and the card's page, so that only the corpus is left."""
    config = json.loads((directory / "config.json").read_text())
    config["card"]["license"] = "MIT"
    (directory / "config.json").write_text(json.dumps(config))
    assert main(["card", str(directory)]) == 0


def rename_corpus(directory: Path) -> None:
    """Clear the corpus as well, so that only the recipe is left."""
    say_nothing_of_it(directory)
    text = (directory / "config.json").read_text().replace("penn-treebank", "news")
    (directory / "config.json").write_text(text)
    assert main(["card", str(directory)]) == 0
    (directory / "recipe.json").write_text('{"data": {"dataset": "penn-treebank"}}')


def clear_config_only(directory: Path) -> None:
    """Clear the licence and the corpus in the configuration, but not in the card's page."""
    text = (directory / "config.json").read_text()
    text = text.replace("penn-treebank", "news").replace("LDC user agreement", "MIT")
    (directory / "config.json").write_text(text)


@pytest.mark.parametrize(
    "hide",
    [lambda _: None, say_nothing_of_it, rename_corpus, clear_config_only],
    ids=["nothing", "licence", "licence and corpus", "configuration"],
)
@pytest.mark.parametrize("flags", [[], ["--private"], ["--dry-run"]])
def test_what_may_not_be_given_away_is_refused_whatever_is_hidden(
    hub, checkpoint, push, capsys, hide, flags
) -> None:
    directory = checkpoint("ptb", licence="LDC user agreement", dataset="penn-treebank")
    hide(directory)
    assert push(directory, *flags) == 2
    assert "may not be given away" in capsys.readouterr().err
    assert hub.requests == []


def break_weights(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"short")


def write_an_old_card(directory: Path) -> None:
    (directory / "README.md").write_text('---\nlicense: "CC BY-SA 3.0 (Wikipedia)"\n---\n')


def write_no_yaml(directory: Path) -> None:
    (directory / "README.md").write_text("---\nlicense: [\n---\n")


def break_the_recipe(directory: Path) -> None:
    (directory / "recipe.json").write_text('{"data": ')


FAULTS = {
    "broken weights": (break_weights, "model.safetensors: cannot be read"),
    "an old card": (write_an_old_card, "refrain card"),
    "a card that is no YAML": (write_no_yaml, "is no card of the hub"),
    "a card that is missing": (lambda path: (path / "README.md").unlink(), "refrain card"),
    "a broken recipe": (break_the_recipe, "recipe.json: is no recipe"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_folder_is_refused_before_the_hub_is_asked(
    hub, checkpoint, push, capsys, fault
) -> None:
    directory = checkpoint()
    break_it, message = FAULTS[fault]
    break_it(directory)
    assert push(directory) == 2
    assert message in capsys.readouterr().err
    assert hub.requests == []


def test_nothing_private_is_sent_to_a_public_repository(hub, checkpoint, push, capsys) -> None:
    hub.add("me/tiny", {})
    assert push(checkpoint(), "--private") == 2
    assert "is public already" in capsys.readouterr().err
    assert hub.repositories["me/tiny"].files("main") == {}


def test_a_wrong_token_is_named(hub, checkpoint, push, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    assert push(checkpoint()) == 2
    assert "HF_TOKEN" in capsys.readouterr().err


def test_a_hub_that_does_not_answer_is_named(
    hub, checkpoint, push, monkeypatch, capsys, unused_address
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", unused_address)
    assert push(checkpoint()) == 2
    assert f"{unused_address} does not answer" in capsys.readouterr().err


@pytest.fixture
def unused_address():
    """An address of this machine where nobody listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"
