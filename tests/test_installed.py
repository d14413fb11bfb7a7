"""What an installation holds: one import name, the shipped checkpoints, and a service that answers from them."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

from refrain.models.checkpoint.folders import SHIPPED_NAMES

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "cli", "client", "inference", "models", "training")
SHIPPED = ["english", "sentiment-en", "sentiment-zh", "tang"]
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "refrain_client.py")
PACKAGES = sysconfig.get_path("purelib")
"""Where the libraries that Refrain stands on lie."""

pytestmark = pytest.mark.slow


def run_uninstalled(
    here: Path, program: str, folder: Path, libraries: Path | str = PACKAGES
) -> str:
    """Run a program that finds libraries and one folder, and no Refrain that is installed beside them."""
    begin = f"import sys; sys.path[:0] = [{str(here)!r}, {str(libraries)!r}]; "
    command = [sys.executable, "-I", "-S", "-c", begin + program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The wheel, installed; built from a tree whose links were unpacked as text files."""
    tree = tmp_path_factory.mktemp("tree")
    unwanted = shutil.ignore_patterns("__pycache__", "*.so")
    for folder in (*FOLDERS, "checkpoints"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=unwanted)
    for file in FILES:
        shutil.copy(ROOT / file, tree)
    (tree / "refrain").mkdir()
    for path in (ROOT / "refrain").iterdir():
        if path.is_symlink():
            (tree / "refrain" / path.name).write_text(str(path.readlink()), "utf-8")
        elif path.is_file():
            shutil.copy(path, tree / "refrain")
    (tree / "checkpoints" / "my-own-run").mkdir()
    (tree / "checkpoints" / "my-own-run" / "config.json").write_text("{}", "utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tree / "dist", tree], check=True)
    (wheel,) = (tree / "dist").glob("refrain-*.whl")
    target = tmp_path_factory.mktemp("site")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


@pytest.fixture
def bare_tree(tmp_path) -> Path:
    """The tree as it is checked out, with its links, and nothing that an installation leaves in it."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for folder in FOLDERS:
        (tree / folder).symlink_to(ROOT / folder)
    shutil.copytree(ROOT / "refrain", tree / "refrain", symlinks=True)
    return tree


@pytest.fixture
def libraries(tmp_path) -> Path:
    """The libraries that Refrain stands on, and not what is known of an installed Refrain."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    for path in Path(PACKAGES).iterdir():
        if not path.name.lower().startswith(("refrain", "__editable__")):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of someone else, with names that Refrain had."""
    (tmp_path / "app.py").write_text("MINE = 'app'\n", "utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("MINE = 'models'\n", "utf-8")
    return tmp_path


def test_an_installation_has_one_name_and_no_run_of_ones_own(site) -> None:
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"__pycache__"} == {"refrain", "refrain_client.py", "bin"}
    shipped = sorted(path.name for path in (site / "refrain/checkpoints").iterdir())
    assert shipped == SHIPPED == list(SHIPPED_NAMES)
    assert len([*(site / "refrain/models/native").glob("*/*_portable.so")]) == 2
    modules = {
        str(path.relative_to(ROOT)) for name in FOLDERS for path in (ROOT / name).rglob("*.py")
    }
    installed = {
        str(path.relative_to(site / "refrain")) for path in site.rglob("refrain/*/**/*.py")
    }
    assert installed == modules


def test_a_model_is_used_beside_a_project_with_the_same_names(site, project) -> None:
    program = f"""
sys.path.insert(0, {str(project)!r})
import app, models
from refrain import LocalModel, WordScorer, __version__
import refrain
assert refrain.__file__.startswith({str(site)!r})
model = LocalModel("tang")
scorer = WordScorer(model)
print(app.MINE, models.MINE, len(model.next("春").predictions), __version__)
"""
    assert run_uninstalled(site, program, project).split()[:3] == ["app", "models", "10"]


def test_the_old_name_of_the_client_names_the_new_one(site, project) -> None:
    program = "\ntry:\n    import refrain_client\nexcept ImportError as error:\n    print(error)"
    assert "`refrain.client`" in run_uninstalled(site, program, project)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bare_name_in_the_tree_names_the_new_one(name, tmp_path) -> None:
    program = f"\ntry:\n    import {name}\nexcept ImportError as error:\n    print(error)"
    assert f"`refrain.{name}`" in run_uninstalled(ROOT, program, tmp_path)


def test_the_bare_tree_runs_the_command_without_installation(
    bare_tree, libraries, tmp_path
) -> None:
    for flag, expected in (("--help", "serve checkpoints over HTTP"), ("--version", "refrain 0.")):
        program = f"""
import runpy
sys.argv = ["refrain", {flag!r}]
runpy.run_module("refrain", run_name="__main__")
"""
        assert expected in run_uninstalled(bare_tree, program, tmp_path, libraries)


def test_the_installed_service_answers_and_ones_own_checkpoint_wins(site, project) -> None:
    own = project / "checkpoints"
    shutil.copytree(ROOT / "checkpoints" / "sentiment-zh", own / "sentiment-zh")
    command = [sys.executable, "-m", "refrain", "serve", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(site)}
    service = subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert service.stdout
        found = re.search(r"http://\S+", service.stdout.readline())
        assert found, "the service did not start"
        models = ask(f"{found[0]}/models")["models"]
        answer = ask(f"{found[0]}/generate", {"prompt": "春", "max_tokens": 5, "seed": 1})
    finally:
        service.terminate()
        service.wait(timeout=30)
        service.stdout.close()
    assert {model["name"]: model["source"] for model in models} == {
        "english": "shipped",
        "sentiment-en": "shipped",
        "sentiment-zh": "folder",
        "tang": "shipped",
    }
    assert answer["model"] == "tang"


def ask(url: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    for attempt in range(100):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except ConnectionError:
            if attempt == 99:
                raise
    raise AssertionError
