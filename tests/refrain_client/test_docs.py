"""The blocks of the guide and the cells of the notebook run against a server."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "client.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def _beside_a_server(address, checkpoints, tmp_path, monkeypatch) -> None:
    (tmp_path / "checkpoints").symlink_to(checkpoints)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFRAIN_URL", address)


@pytest.mark.usefixtures("_beside_a_server")
def test_the_blocks_of_the_guide_run_in_their_order(capsys) -> None:
    names: dict[str, object] = {"__name__": "guide"}
    text = GUIDE.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        line = text.count("\n", 0, block.start()) + 1
        exec(compile("\n" * line + block[1], str(GUIDE), "exec"), names)
    assert len(blocks) >= 12
    printed = capsys.readouterr().out
    assert "model_not_found" in printed
    assert "nats" in printed
