"""`refrain completion`: what a shell completes."""

import subprocess

import pytest

from refrain.cli.main import build_parser, main

COMPLETE = """
source refrain.bash
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_refrain refrain "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def completed(tmp_path, capsys):
    """Ask bash what it would complete."""
    assert main(["completion", "bash"]) == 0
    (tmp_path / "refrain.bash").write_text(capsys.readouterr().out)
    for name in ("checkpoints/tang", "recipes"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("recipes/tang.toml", "recipes/notes.md", "pages.txt"):
        (tmp_path / name).touch()

    def ask(words: str) -> set[str]:
        script = COMPLETE.format(words=words)
        found = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return set(found.stdout.split())

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refrain sc", {"score"}),
        ("refrain generate --min", {"--min-p"}),
        ("refrain filter --unit js", {"jsonl"}),
        ("refrain completion f", {"fish"}),
        ("refrain serve --precision b", {"bf16"}),
        ("refrain evaluate che", {"checkpoints"}),
        ("refrain score --model checkpoints/", {"checkpoints/tang"}),
        ("refrain train recipes/t", {"recipes/tang.toml"}),
        ("refrain train recipes/n", set()),
        ("refrain filter pa", {"pages.txt"}),
    ],
)
def test_bash_completes(completed, words, expected) -> None:
    assert {name.rstrip("/") for name in completed(words)} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_in_the_script_of_every_shell(shell, capsys) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    (commands,) = (a.choices for a in build_parser()._actions if a.dest == "command")
    assert len(commands) > 12
    assert all(name in script for name in commands)
    assert "--max-perplexity" in script


def test_every_command_teaches_by_example(capsys) -> None:
    (commands,) = (a.choices for a in build_parser()._actions if a.dest == "command")
    for name, command in commands.items():
        text = command.format_help()
        lists = name == "study"  # each of its studies has examples
        assert lists or f"refrain {name}" in text.partition("examples:")[2], name
