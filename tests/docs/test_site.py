"""The documentation as a site: built without a warning from the code as it is, and it asks no other host."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    for package in ("app", "cli", "inference", "models", "refrain.client", "training", "deploy"):
        (folder / package).symlink_to(ROOT / package)
    for command in (
        [sys.executable, "deploy/make_reference.py"],
        [sys.executable, "-m", "zensical", "build", "--strict"],
    ):
        done = subprocess.run(
            command,
            cwd=folder,
            env={"PYTHONPATH": str(folder), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_every_route_command_and_recipe_key_has_its_place(site) -> None:
    from refrain.app.main import assemble
    from refrain.app.services.registry import Registry
    from refrain.app.settings import Settings
    from refrain.cli.main import build_parser

    http = (site / "reference/http/index.html").read_text("utf-8")
    for path in assemble(Settings(), Registry([], []), "cpu").openapi()["paths"]:
        assert path in http
    commands = (site / "reference/command-line/index.html").read_text("utf-8")
    for name in re.findall(r"^    (\w[\w-]*)", build_parser().format_help(), re.MULTILINE):
        assert f"refrain {name}" in commands
    recipes = (site / "reference/recipes/index.html").read_text("utf-8")
    assert "num_sampled" in recipes
    python = (site / "reference/python/index.html").read_text("utf-8")
    for name in ("LocalModel", "LocalSession", "WordScorer", "SamplingParams", "NextQuery"):
        assert name in python


def test_pages_ask_no_other_host_for_anything(site) -> None:
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]+src="(https?:)?//|<link[^>]+rel="stylesheet"[^>]+href="(https?:)?//'
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not loaded.search(page.read_text("utf-8")), page
