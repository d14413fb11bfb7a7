"""The Python of the guides runs as it stands, against the shipped models."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ("docs/how-to/keyboard.md",)


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
