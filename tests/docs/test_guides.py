"""The Python of the pages runs as it stands, against the shipped models, and prints what they say."""

import re
from pathlib import Path

import pytest

from refrain.models.native.step.library import best_variant

ROOT = Path(__file__).parents[2]
GUIDES = ("docs/how-to/keyboard.md",)
PAGES = ("README.md", "README.zh.md")
LINES = r"((?:(?!```).*\n)*)"
SHOWN = re.compile(rf"^```python\n{LINES}```\n+```text\n{LINES}```", re.MULTILINE)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_python_of_a_guide_runs(guide, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / guide).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, guide, "exec"), names)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("page", PAGES)
def test_python_prints_what_stands_below_it(page, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    shown = SHOWN.findall((ROOT / page).read_text("utf-8"))
    assert shown
    for block, expected in shown:
        exec(compile(block, page, "exec"), {})
        printed = capsys.readouterr().out
        if best_variant() != "portable":  # there models run in float32, and the last digits differ
            assert printed == expected
