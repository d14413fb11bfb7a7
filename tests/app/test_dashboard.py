"""What is handed to Prometheus and Grafana asks for figures that the service has, and hangs together."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

FRESH_SERVICE = True

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/refrain.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
FROM_PROMETHEUS = {"up": {"job", "instance"}}
ADDED = {"job", "instance"}
"""Labels that Prometheus adds to every sample."""


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    alerts = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = [
        re.sub(r"label_values\((.*), \w+\)", r"\1", variable["definition"])
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    return alerts + asked + variables


@pytest.fixture
def known(serve) -> dict[str, set[str]]:
    """Names of all samples of a real service, with their labels."""
    found: dict[str, set[str]] = {}

    async def body(client) -> None:
        text = (await client.get("/metrics")).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)

    serve(body)
    return found


def names_in(expression: str) -> set[str]:
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|by \([^)]*\)|\[[^]]*\]', " ", expression)
    return set(re.findall(r"\b(?:refrain_\w+|process_\w+|up)\b", bare))


def test_every_expression_asks_for_samples_and_labels_that_there_are(known) -> None:
    known = {name: labels | ADDED for name, labels in known.items()} | FROM_PROMETHEUS
    asked = set()
    for expression in expressions():
        names = names_in(expression)
        assert names, expression
        assert names <= known.keys(), expression
        asked |= names
        for name, within in re.findall(r"(\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', within))
            assert labels <= known[name], (name, labels)
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            labels = {label.strip() for label in grouped.split(",")}
            assert labels <= set().union(*(known[name] for name in names)), expression
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known if "refrain" in name}
    assert {re.sub(r"_(bucket|sum|count)$", "", n) for n in asked if "refrain" in n} == families


def test_rates_are_of_what_only_grows_and_quantiles_of_buckets() -> None:
    for expression in expressions():
        for name in re.findall(r"(?:rate|increase)\((\w+)", expression):
            assert name.endswith(("_total", "_bucket", "_sum", "_count")), expression
        for name in re.findall(r"histogram_quantile\(.*?rate\((\w+)", expression):
            assert name.endswith("_bucket")
            assert re.search(r"by \([^)]*\ble\)", expression), expression
        for name in names_in(expression):
            if name.endswith("_total"):
                assert re.search(rf"(rate|increase)\({name}", expression), expression


def test_panels_have_titles_units_and_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_variable_that_is_used_is_defined_and_the_source_is_one() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used - {"__rate_interval"} <= variables.keys()
    assert variables["datasource"]["query"] == "prometheus"
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_files_name_one_another_as_they_are() -> None:
    scraping = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    provisioning = DEPLOY / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards/refrain.yml").read_text())["providers"]
    assert all((DEPLOY / name).exists() for name in scraping["rule_files"])
    (job,) = scraping["scrape_configs"]
    assert job["job_name"] == "refrain"
    (target,) = job["static_configs"][0]["targets"]
    services = compose["services"]
    assert target.partition(":")[0] in services
    assert target.partition(":")[2] == services["refrain"]["ports"][0].rpartition(":")[2]
    assert source["url"] == "http://prometheus:9090"
    mounted = [volume for service in services.values() for volume in service.get("volumes", [])]
    for volume in mounted:
        origin = volume.partition(":")[0]
        assert (DEPLOY / origin).exists() or origin in compose["volumes"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/refrain.json"
    for path in (home.rpartition("/")[0], "/etc/grafana/provisioning"):
        assert any(volume.split(":")[1] == path for volume in mounted)


def test_every_alert_has_how_grave_it_is_and_what_to_do() -> None:
    names = []
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            names.append(rule["alert"])
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"].keys() == {"summary", "description"}
    assert len(set(names)) == len(names) >= 6


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", "check", *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_no_fault(tmp_path) -> None:
    promtool("config", "prometheus.yml")
    asked = [re.sub(r"\$__rate_interval", "1m", expression) for expression in expressions()]
    rules = [{"record": f"asked:{n}", "expr": expression} for n, expression in enumerate(asked)]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("rules", str(path))
