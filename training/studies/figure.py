"""The one style of all figures: few colours, names at the lines in place of legends, readable on light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.training.reporting.optional_package import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#777c84"
"""Of words and axes: as far from white as from a dark page."""
BLUE, ORANGE, GREEN, GREY = "#3d80d8", "#d0701a", "#2c9a68", "#9a9fa6"
COLOURS = {"elman": ORANGE, "gru": GREEN, "lstm": BLUE}
NAMES = {"elman": "Elman", "gru": "GRU", "lstm": "LSTM"}

HEIGHT = 3.6
"""Of a figure, in inches."""
CHINESE_FONTS = (
    *("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei"),
    *("WenQuanYi Micro Hei", "Noto Sans SC", "Noto Sans CJK JP", "Heiti SC"),
)

_STYLE = {
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.0,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.22,
    "grid.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.visible": False,
    "lines.linewidth": 2.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "refrain",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in this project's style within the block."""
    matplotlib = require("matplotlib", "studies")
    with matplotlib.rc_context({**_STYLE, "font.family": ["DejaVu Sans", *chinese_font()]}):
        yield


def chinese_font() -> list[str]:
    """Name a font with Chinese signs, if the machine has one."""
    manager = require("matplotlib.font_manager", "studies")
    present = set(manager.get_font_names())
    return [name for name in CHINESE_FONTS if name in present][:1]


def panels(
    num_panels: int = 1, *, width: float = 9.0, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side; sizes in inches."""
    figure: Figure = require("matplotlib.figure", "studies").Figure(
        figsize=(width, height), layout="constrained"
    )
    return figure, list(figure.subplots(1, num_panels, squeeze=False)[0])


def name_ends(
    axes: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float = 0.075
) -> None:
    """Write names beside the ends of lines, moved apart where they would touch.

    Parameters
    ----------
    ends
        For each line x and y of its end, its name, its colour.
    gap
        Least distance between two names, as a share of the panel's height.
    """
    to_share = axes.transData + axes.transAxes.inverted()
    shares = [tuple(map(float, to_share.transform((x, y)))) for x, y, _, _ in ends]
    order = sorted(range(len(ends)), key=lambda index: shares[index][1])
    heights = spread([shares[index][1] for index in order], gap)
    for index, height in zip(order, heights, strict=True):
        _, _, name, colour = ends[index]
        axes.annotate(
            name,
            (shares[index][0], height),
            (6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
        )


def name_point(
    axes: Axes, x: float, y: float, name: str, colour: str, offset: tuple[float, float]
) -> None:
    """Write a name beside a point, from an offset in points on."""
    axes.annotate(name, (x, y), offset, textcoords="offset points", color=colour, va="center")


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move sorted heights apart to at least `gap`, each crowd about its own middle."""
    crowds: list[list[float]] = []
    for height in heights:
        crowds.append([height])
        while len(crowds) > 1 and _foot(crowds[-1], gap) < _foot(crowds[-2], gap) + gap * len(
            crowds[-2]
        ):
            crowds[-2:] = [crowds[-2] + crowds[-1]]
    return [_foot(crowd, gap) + gap * index for crowd in crowds for index in range(len(crowd))]


def _foot(crowd: Sequence[float], gap: float) -> float:
    return sum(crowd) / len(crowd) - gap * (len(crowd) - 1) / 2


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same figures give the same bytes."""
    figure.savefig(path, format="svg", metadata={"Date": None})
