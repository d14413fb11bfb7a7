"""The ladder of language models, from their run logs: docs/results.md, its figures, and what the page draws.

`python -m benchmarks.ladder runs/NAME ...` takes in what finished runs left (figures, learning curve, cost; no text)
and keeps it in `benchmarks/results/ladder`; without names the page is made anew of what is kept.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import RESULTS, table
from refrain.training.publishing.card import DYNAMIC, NEURAL_CACHE, WITH_KNESER_NEY
from refrain.training.recipe.differences import differences
from refrain.training.recipe.parsing import make_recipe, read_recipe

KEPT = RESULTS / "ladder"
DOCS = Path("docs")
PAGE = Path("app/web/ladder.json")
CORPORA = {
    "penn-treebank": (
        "Penn Treebank",
        "Mikolov's preparation: 929,589 training words, vocabulary 10,000; test 82,430 tokens with the ends of lines.",
    ),
    "wikitext-2": (
        "WikiText-2",
        "2,088,628 training words, vocabulary 33,278; test 245,569 tokens with the ends of lines.",
    ),
}
# Test perplexity in print, and where.
PUBLISHED = {
    "penn-treebank-kn5": "141 (Mikolov et al. 2011)",
    "penn-treebank-elman": "123 (Mikolov et al. 2011)",
    "penn-treebank-lstm-small": "114.5 (Zaremba et al. 2014)",
    "penn-treebank-lstm-medium": "82.7 with 20M parameters (Zaremba et al. 2014)",
    "penn-treebank-mogrifier": "50.1 with 24M parameters (Melis et al. 2020)",
    "penn-treebank-lstm": "57.3 with 24M parameters, 500 epochs (Merity et al. 2018)",
    "wikitext-2-lstm": "65.8 with 33M parameters, 750 epochs (Merity et al. 2018); 86.7 (word_language_model)",
}
COLUMNS = {WITH_KNESER_NEY: "+ KN5", NEURAL_CACHE: "+ cache", DYNAMIC: "dynamic"}
BLUE, GREY = "#2f6fb3", "#8a8a8a"
# A figure in print that can be drawn: "82.7 with 20M parameters (Zaremba et al. 2014)".
SIZED = re.compile(r"([\d.]+) with ([\d.]+)M parameters[^(]*\(([^)]+)\)")


def condense(run: Path) -> dict[str, Any]:
    """Return what a finished run reports: recipe, cost, figures, and its curve of (step, perplexity)."""
    config = json.loads((run / "config.json").read_text("utf-8"))
    recipe = json.loads((run / "recipe.json").read_text("utf-8"))
    committed = Path("recipes") / f"{recipe['name']}.toml"
    if changes := differences(make_recipe(recipe), read_recipe(committed)):
        sys.exit(f"{run} was not made by {committed} as it stands: {', '.join(changes)}")
    log = run / "run_log.jsonl"
    events = (
        [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    )
    curve = [
        {"step": event["step"], "perplexity": round(event["perplexity"], 3)}
        for event in events
        if event["event"] == "validation"
    ]
    card = config["card"]
    return {
        "name": recipe["name"],
        "dataset": card["dataset"],
        "recipe": recipe,
        "training": card["training"],
        "metrics": card["metrics"],
        "curve": curve,
    }


def figure_of(run: dict[str, Any], split: str, prefix: str = "") -> float | None:
    """Return a run's perplexity on a split: its own, or that of the help whose name begins so."""
    for metric in run["metrics"]:
        is_it = metric["model"].startswith(prefix) if prefix else not metric["model"]
        if metric["name"] == "perplexity" and metric["split"] == split and is_it:
            return float(metric["value"])
    return None


def shown(value: float | None) -> str:
    """Write a perplexity, or a dash."""
    return "-" if value is None else f"{value:.1f}"


def row_of(run: dict[str, Any]) -> list[str]:
    """Return a run's row of the table."""
    training = run["training"]
    parameters = training.get("parameters")
    seconds = training.get("seconds")
    return [
        f"[{run['name']}](../recipes/{run['name']}.toml)",
        "-" if parameters is None else f"{parameters / 1e6:.1f}M",
        str(training.get("epochs", "-")),
        "-" if seconds is None else f"{seconds / 60:.0f} min",
        shown(figure_of(run, "validation")),
        f"**{shown(figure_of(run, 'test'))}**",
        *(shown(figure_of(run, "test", prefix)) for prefix in COLUMNS),
        PUBLISHED.get(run["name"], "-"),
    ]


def draw_curves(dataset: str, runs: Sequence[dict[str, Any]]) -> None:
    """Draw validation perplexity against the epochs read."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    ends = []
    for run in runs:
        if len(run["curve"]) < 2:
            continue
        training = run["training"]
        epochs = [point["step"] / training["steps"] * training["epochs"] for point in run["curve"]]
        values = [point["perplexity"] for point in run["curve"]]
        axes.plot(epochs, values, color=BLUE, linewidth=1.5)
        ends.append(Label(epochs[-1], values[-1], short_name(run, dataset)))
    draw_ngram(axes, runs, "validation")
    axes.set(
        xlabel="epochs of training", ylabel="validation perplexity", xscale="log", yscale="log"
    )
    axes.set_xticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
    axes.set_yticks(
        [60, 80, 100, 150, 200, 300, 500], ["60", "80", "100", "150", "200", "300", "500"]
    )
    axes.minorticks_off()
    axes.set_xlim(0.9, 100)
    write_apart(figure, axes, ends)
    finish(figure, axes, f"learning-curves-{dataset}")


def draw_sizes(dataset: str, runs: Sequence[dict[str, Any]]) -> None:
    """Draw test perplexity against parameters."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    labels = []
    for run in runs:
        size, value = run["training"].get("parameters"), figure_of(run, "test")
        if size is None or value is None:
            continue
        axes.plot(size / 1e6, value, "o", color=BLUE)
        labels.append(Label(size / 1e6, value, short_name(run, dataset)))
    for found in published_sizes(dataset):
        millions, value = found["parameters"] / 1e6, found["test"]
        axes.plot(millions, value, "D", color=GREY, markersize=5)
        labels.append(Label(millions, value, found["source"], GREY))
    draw_ngram(axes, runs, "test")
    axes.set(xlabel="million parameters", ylabel="test perplexity", xscale="log", xlim=(1, 80))
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.margins(y=0.15)
    write_apart(figure, axes, labels)
    finish(figure, axes, f"sizes-{dataset}")


class Label(NamedTuple):
    """What is written beside a mark, with the mark's value."""

    x: float
    y: float
    name: str
    colour: str = "black"


def short_name(run: dict[str, Any], dataset: str) -> str:
    """Return a run's name on the page of its corpus."""
    name: str = run["name"]
    return name.removeprefix(f"{dataset}-")


def write_apart(figure: Any, axes: Any, labels: Sequence[Label]) -> None:
    """Write labels beside their marks, each raised until it covers none of those below it."""
    from matplotlib import patheffects

    figure.draw_without_rendering()  # until then the axes are not as large as they will be
    taken: list[Any] = []
    for x, y, name, colour in sorted(labels, key=lambda label: label.y):
        text = axes.annotate(
            f"{name} {y:.0f}",
            (x, y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
        )
        while text.get_window_extent().count_overlaps(taken):
            text.xyann = (6, text.xyann[1] + 1)
        taken.append(text.get_window_extent())


def draw_ngram(axes: Any, runs: Sequence[dict[str, Any]], split: str) -> None:
    """Draw the n-gram's perplexity as a line to come below."""
    values = [figure_of(run, split) for run in runs if run["name"].endswith("kn5")]
    for value in filter(None, values):
        axes.axhline(value, color=GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f"Kneser-Ney 5-gram {value:.0f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            color=GREY,
            ha="right",
        )


def finish(figure: Any, axes: Any, name: str) -> None:
    """Take the frame away and keep the figure."""
    import matplotlib
    from matplotlib import pyplot as plt

    axes.spines[["top", "right"]].set_visible(False)
    matplotlib.rcParams["svg.hashsalt"] = name
    (DOCS / "figures").mkdir(exist_ok=True)
    figure.savefig(DOCS / "figures" / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def section(dataset: str, runs: Sequence[dict[str, Any]]) -> str:
    """Write a corpus's table and figures."""
    title, protocol = CORPORA[dataset]
    header = [
        "recipe",
        "parameters",
        "epochs",
        "time of updates",
        "validation",
        "test",
        *COLUMNS.values(),
        "published",
    ]
    ordered = sorted(runs, key=lambda run: -(figure_of(run, "test") or 0))
    is_drawn = any(run["curve"] for run in runs)
    if is_drawn:
        draw_curves(dataset, ordered)
        draw_sizes(dataset, ordered)
    figures = (
        f"![Test perplexity against parameters](figures/sizes-{dataset}.svg)",
        f"![Validation perplexity as training goes on](figures/learning-curves-{dataset}.svg)",
    )
    machines = sorted({run["training"]["machine"] for run in runs if "machine" in run["training"]})
    return "\n\n".join(
        (
            f"## {title}",
            protocol,
            table(header, [row_of(run) for run in ordered]),
            *(f"Machine: {machine}." for machine in machines),
            *(figures if is_drawn else ()),
        )
    )


INTRODUCTION = """# Results

Perplexity of language models on the field's common texts, each from one committed recipe. "Test" is static: the model
alone, its weights fixed, the split read as one stream in one lane with the state carried over, every token and every
end of a line counted, in float32. What adapts to the test text, or is mixed with another model, has columns of its own,
fitted on validation. Learning curves show validation as training sees it, in many lanes begun in mid-text, in the run's
own precision. Time is that of the updates, without validation, on one core; most runs had other work beside them on the
machine, which made some half as fast as others: a row's minutes are what it cost, not which network is the faster.

Made by `python -m benchmarks.ladder` from run logs in `benchmarks/results/ladder`; a row is reproduced by

    refrain train recipes/NAME.toml --output runs/NAME
    refrain evaluate runs/NAME --with kneser-ney cache dynamic --update-card
    python -m benchmarks.ladder runs/NAME
"""


def page_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the service's page draws of each corpus: our runs, and published results whose size is known."""
    corpora = []
    for dataset, (title, _) in CORPORA.items():
        own = [
            {
                "name": run["name"].removeprefix(f"{dataset}-"),
                "parameters": run["training"].get("parameters"),
                "validation": figure_of(run, "validation"),
                "test": figure_of(run, "test"),
                "published": PUBLISHED.get(run["name"]),
            }
            for run in runs
            if run["dataset"] == dataset
        ]
        if own:
            published = published_sizes(dataset)
            corpora.append({"title": title, "runs": own, "published": published})
    return corpora


def published_sizes(dataset: str) -> list[dict[str, Any]]:
    """Return the published results whose size is known."""
    return [
        {"test": float(found[1]), "parameters": 1e6 * float(found[2]), "source": found[3]}
        for name, text in PUBLISHED.items()
        if name.startswith(dataset) and (found := SIZED.search(text))
    ]


def write_page_rows(runs: Sequence[dict[str, Any]]) -> None:
    """Keep what the page draws."""
    text = json.dumps(page_rows(runs), ensure_ascii=False, indent=1)
    PAGE.write_text(text + "\n", encoding="utf-8")


def kept_runs() -> list[dict[str, Any]]:
    """Read every run that was taken in."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(KEPT.glob("*.json"))]


def main(names: Sequence[str]) -> None:
    """Take in runs and write the page."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in names:
        run = condense(Path(name))
        text = json.dumps(run, ensure_ascii=False, indent=1)
        (KEPT / f"{run['name']}.json").write_text(text + "\n", encoding="utf-8")
    runs = kept_runs()
    sections = [
        section(dataset, [run for run in runs if run["dataset"] == dataset])
        for dataset in CORPORA
        if any(run["dataset"] == dataset for run in runs)
    ]
    (DOCS / "results.md").write_text(
        "\n\n".join((INTRODUCTION.rstrip(), *sections)) + "\n", encoding="utf-8"
    )
    write_page_rows(runs)
    print(f"{len(runs)} runs in {DOCS / 'results.md'} and {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
