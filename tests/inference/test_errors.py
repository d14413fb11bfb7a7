"""The errors of Refrain are the tree that models/errors.py draws: no one missing, none too many, each in its place."""

import importlib
import re
from pathlib import Path

from refrain.models import errors
from refrain.models.errors import RefrainError

ROOT = Path(errors.__file__).parents[1]
PACKAGES = ("models", "inference", "app", "training", "cli")
NODE = re.compile(r"^(?P<indent> *)[*-] (?P<name>\w+)")
DEFINITION = re.compile(r"^class \w+\([^)]*Error\b", re.MULTILINE)
Parents = dict[str, str]


def import_all_that_define_an_error() -> None:
    """Import what has a class that derives from an error: only such a module can add one."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if DEFINITION.search(path.read_text("utf-8")):
                importlib.import_module(
                    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
                )


def drawn() -> Parents:
    """The parent of each class in the drawing."""
    parents: Parents = {}
    open_nodes: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if node := NODE.match(line):
            indent, name = len(node["indent"]), node["name"]
            open_nodes = [each for each in open_nodes if each[0] < indent]
            assert name not in parents, f"{name} is drawn twice"
            parents[name] = open_nodes[-1][1] if open_nodes else ""
            open_nodes.append((indent, name))
    return parents


def derived(kind: type[Exception], parent: str = "") -> Parents:
    """The parent of a class and of all that derive from it, as they are."""
    parents = {kind.__name__: parent}
    for each in kind.__subclasses__():
        if each.__module__.startswith("refrain."):
            below = derived(each, kind.__name__)
            assert not parents.keys() & below.keys(), "two errors have one name"
            parents |= below
    return parents


def test_the_drawing_of_the_tree_of_errors_is_the_tree() -> None:
    import_all_that_define_an_error()
    assert drawn() == derived(RefrainError)
    assert len(drawn()) > 35


def test_every_file_that_the_drawing_names_defines_an_error() -> None:
    named = re.findall(r"\b[a-z/]+\.py\b", errors.__doc__ or "")
    assert len(set(named)) == 5
    for name in named:
        assert "Error(" in (ROOT / name).read_text("utf-8"), name


def test_every_error_says_what_it_means() -> None:
    import_all_that_define_an_error()
    kinds = [RefrainError]
    for kind in kinds:
        assert kind.__doc__, kind
        kinds += kind.__subclasses__()


def test_a_refused_value_is_named_and_caught_as_a_value_error_too() -> None:
    refused = errors.InvalidParameterError("above 0", "top_k")
    assert (str(refused), refused.param) == ("above 0", "top_k")
    assert isinstance(refused, ValueError)
    assert errors.InvalidParameterError("no field").param is None
