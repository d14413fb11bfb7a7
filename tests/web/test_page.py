"""What is served for the page: files with their headers, curves, and what the ladder made."""

import json
from pathlib import Path

import httpx
import pytest

from benchmarks.ladder import PAGE, kept_runs, page_rows
from refrain.app.api.routes.page import FOLDER
from refrain.models.checkpoint import RUN_LOG
from refrain.models.learning_curve import MAX_POINTS, read_learning_curve, thinned

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client(service):
    with httpx.Client(base_url=service.address) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/web/main.js", "/web/styles/paper.css", "/web/seal.svg"])
def test_a_file_is_the_services_own_and_asked_for_again_by_its_tag(client, path) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(path).status_code == 200


def test_what_is_no_file_of_the_page_is_a_404_of_the_one_shape(client) -> None:
    for path in ("/web/none.js", "/web/../main.py", "/web/%2e%2e/main.py"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_no_file_of_the_page_names_another_server() -> None:
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".html")]
    assert len(files) > 20
    for path in files:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text


def test_a_learning_curve_is_thinned_and_keeps_its_ends(client) -> None:
    curve = client.get("/models/tang/learning-curve").json()
    assert curve["model"] == "tang"
    assert len(curve["training"]) == MAX_POINTS
    log = (ROOT / "checkpoints/tang/run_log.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in log]
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert (curve["training"][0]["step"], curve["training"][-1]["step"]) == (1, steps[-1])
    num_validations = sum(event["event"] == "validation" for event in events)
    assert [point["name"] for point in curve["validation"]] == ["perplexity"] * num_validations
    assert client.get("/models/none/learning-curve").status_code == 404
    assert thinned(range(1000), 3) == [0, 500, 999]


def test_a_log_that_is_missing_or_cut_gives_what_there_is(tmp_path) -> None:
    assert read_learning_curve(tmp_path).validation == []
    lines = [
        '{"event": "step", "step": 1, "loss": NaN}',
        '{"event": "step", "step": 2, "loss": 3.5}',
        '{"event": "validation", "step": 2, "accuracy": 0.5}',
        "[1]",
        '{"event": "step", "st',
    ]
    (tmp_path / RUN_LOG).write_text("\n".join(lines), "utf-8")
    curve = read_learning_curve(tmp_path)
    assert [(point.step, point.loss) for point in curve.training] == [(2, 3.5)]
    assert [(point.name, point.value) for point in curve.validation] == [("accuracy", 0.5)]


def test_the_pages_ladder_is_what_the_kept_runs_say() -> None:
    assert json.loads(PAGE.read_text("utf-8")) == page_rows(kept_runs())
