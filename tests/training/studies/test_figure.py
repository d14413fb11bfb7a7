"""Names beside lines keep apart, and a missing package is asked for by its name."""

import pytest

from refrain.training.errors import MissingPackageError
from refrain.training.reporting.optional_package import require
from refrain.training.studies.figure import panels, save, spread, style


@pytest.mark.parametrize(
    "heights", [[], [0.3], [0.1, 0.1, 0.1], [0.0, 0.05, 0.5, 0.51], [0.2, 0.9]]
)
def test_names_are_moved_apart_as_little_as_it_takes(heights) -> None:
    moved = spread(heights, gap=0.1)
    assert all(high - low >= 0.1 - 1e-9 for low, high in zip(moved, moved[1:], strict=False))
    assert sum(moved) == pytest.approx(sum(heights))


def test_names_far_apart_stay_where_they_are() -> None:
    assert spread([0.2, 0.9], gap=0.1) == [0.2, 0.9]


def test_the_same_figure_gives_the_same_bytes(tmp_path) -> None:
    for name in ("one.svg", "other.svg"):
        with style():
            figure, (axes,) = panels()
            axes.plot([1, 2], [3, 4])
            save(figure, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_a_missing_package_says_how_to_install_it(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"--editable '.\[studies\]'"):
        require("matplotlib", "studies")
