"""Whoever asks a model in process pays for no server: neither its libraries nor an event loop are loaded."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVER = {"fastapi", "starlette", "pydantic", "pydantic_settings", "uvicorn", "httpx"}
ABOVE = {"refrain.app", "refrain.cli", "refrain.client", "refrain.training"}
ASKING = """
import json, sys
sys.path.insert(0, {root!r})
from refrain.inference.local import LocalClassifier, LocalModel, WordScorer
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.rescoring import Hypothesis
from refrain.models.native.step.sampling import SamplingParams

model = LocalModel({folder!r} + "/english")
model.generate("The old", SamplingParams(max_tokens=3))
list(model.stream("The old", GenerationParams(SamplingParams(max_tokens=3), stream=True)))
model.score("The old cat")
model.next("The old")
model.rescore([Hypothesis("cat")], context="The old")
model.session("The old", adaptive=model.precision == "int8").next()
WordScorer(model).score(None, "The")
LocalClassifier({folder!r} + "/sentiment-en").classify("The old cat")
print(json.dumps({{name: getattr(module, "__file__", None) for name, module in sys.modules.items()}}))
"""


@pytest.fixture(scope="module")
def loaded(checkpoints) -> dict[str, str | None]:
    """What a fresh interpreter has loaded once it has asked everything, by name: its file."""
    program = ASKING.format(root=str(ROOT), folder=str(checkpoints))
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_nothing_of_a_server_is_loaded(loaded) -> None:
    assert "refrain.inference.local.model" in loaded
    assert SERVER & loaded.keys() == set()
    assert ABOVE & loaded.keys() == set()


def test_the_driver_of_the_server_is_not_loaded(loaded) -> None:
    drivers = {name for name in loaded if name.startswith("refrain.inference.drivers.")}
    assert drivers == {"refrain.inference.drivers.blocking", "refrain.inference.drivers.execution"}


def test_none_of_our_modules_asks_for_an_event_loop(loaded) -> None:
    # Torch loads asyncio for itself, so that the modules themselves are read.
    ours = [Path(file) for name, file in loaded.items() if is_ours(name) and file]
    assert len(ours) > 50
    assert [path for path in ours if "asyncio" in imported_by(path)] == []


def is_ours(name: str) -> bool:
    return name.startswith(("refrain.inference.", "refrain.models."))


def imported_by(path: Path) -> set[str]:
    """The packages that a module imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names
