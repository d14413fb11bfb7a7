"""The plot of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

from refrain.training.planning.learning_rate_finder import RangeTest


def save_plot(test: RangeTest, name: str, path: Path) -> None:
    """Draw loss against learning rate, with both suggestions, to an SVG file; the same bytes for the same test."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        test.learning_rates, test.losses, color="#b0b8c4", linewidth=1, label="loss of a step"
    )
    axes.plot(test.learning_rates, test.smoothed, color="#1f4e8c", linewidth=2, label="smoothed")
    for rate, color, label in (
        (test.suggestion, "#c2571a", "a tenth of the minimum's"),
        (test.steepest, "#2c8a57", "steepest descent"),
    ):
        axes.axvline(rate, color=color, linestyle="--", label=f"{label}: {rate:.1e}")
    lowest, first = min(test.smoothed), test.smoothed[0]
    margin = 0.6 * (first - lowest) + 0.02 * first
    axes.set(
        xscale="log",
        xlabel="learning rate",
        ylabel="loss (nats)",
        ylim=(lowest - margin, first + 2 * margin),
        title=f"{name}: loss under a rising learning rate",
    )
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
