"""The examples of docs/command-line.md, run as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.cli.main import main
from refrain.models.native.step.library import best_variant

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
LEFT_OUT = ("refrain train", "refrain serve", "refrain bench")
"""Long ones; `refrain bench` is tested with less to do."""


def examples() -> list[tuple[str, str]]:
    """Return each command with what the page shows that it writes."""
    found: list[tuple[str, str]] = []
    for line in "".join(BLOCKS).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return [each for each in found if not each[0].startswith(LEFT_OUT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the shipped checkpoints, and `refrain` on the path."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "checkpoints").mkdir()
    for name in ("tang", "english", "sentiment-en", "sentiment-zh"):
        (folder / "checkpoints" / name).symlink_to(ROOT / "checkpoints" / name)
    script = folder / "bin" / "refrain"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m refrain "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "expected"), examples(), ids=[command[:40] for command, _ in examples()]
)
def test_an_example_writes_what_the_page_shows(
    folder, monkeypatch, capsys, command, expected
) -> None:
    monkeypatch.chdir(folder)
    if command.startswith("refrain ") and not {"|", ">", "<"} & set(command):
        assert main(shlex.split(command)[1:]) == 0
        written = capsys.readouterr().out
    else:
        environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        written = done.stdout
    if best_variant() != "portable":  # there models run in float32, and the last digits differ
        assert written == expected


def test_the_page_has_a_pipe_and_a_filter() -> None:
    commands = [command for command, _ in examples()]
    assert any("| refrain" in command for command in commands)
    assert any(command.startswith("refrain filter") for command in commands)
    assert len(commands) >= 12
