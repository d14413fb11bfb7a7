"""The blocks of the guide and the cells of the notebook run against a server."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "client.md"
NOTEBOOK = ROOT / "docs" / "examples" / "client.ipynb"
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


@pytest.mark.usefixtures("_beside_a_server")
def test_the_cells_of_the_notebook_run_in_their_order(capsys) -> None:
    names: dict[str, object] = {"__name__": "notebook"}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for number, source in enumerate(sources, 1):
        exec(compile(source, f"cell {number}", "exec"), names)
    assert "█" in capsys.readouterr().out


def test_the_notebook_is_kept_with_what_its_cells_showed_in_one_run() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    run = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    kinds = {output["output_type"] for cell in run for output in cell["outputs"]}
    assert kinds == {"stream"}
