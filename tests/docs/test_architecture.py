"""The table of rooms in docs/architecture.md is the tree: each folder of code has a line, and each line a folder."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "cli", "client", "inference", "models", "refrain", "training")
ROW = re.compile(r"^\| `(?P<room>[a-z_0-9/]+)/` \| (?P<line>.+) \|$", re.MULTILINE)


def rooms_in_the_table() -> dict[str, str]:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.partition("## Rooms\n")[2].partition("\n## ")[0]
    rows = [(row["room"], row["line"]) for row in ROW.finditer(section)]
    assert len(dict(rows)) == len(rows), "a room has two lines"
    return dict(rows)


def rooms_in_the_tree() -> dict[str, str]:
    """The first line of each package's docstring."""
    found = {}
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            docstring = ast.get_docstring(ast.parse(init.read_text("utf-8")))
            assert docstring, init
            found[str(init.parent.relative_to(ROOT))] = docstring.splitlines()[0]
    return found


def test_every_room_has_its_line_and_every_line_its_room() -> None:
    assert rooms_in_the_table() == rooms_in_the_tree()


def test_every_module_stands_in_a_room() -> None:
    rooms = rooms_in_the_table()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert str(path.parent.relative_to(ROOT)) in rooms, path


def test_no_line_of_the_table_is_longer_than_a_line() -> None:
    assert [room for room, line in rooms_in_the_table().items() if len(line) > 130] == []
