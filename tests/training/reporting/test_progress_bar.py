"""Work that is no run shows on a terminal at once, and in a log file only where it takes long."""

import sys
import time

from refrain.training.reporting import progress_bar as module
from refrain.training.reporting.progress_bar import progress_bar


def test_a_terminal_shows_it_at_once(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress_bar("measuring", 3, of="abc")) == ["a", "b", "c"]
    drawn = capsys.readouterr().err
    assert drawn.startswith("\rmeasuring:   0%")
    assert "measuring: 100%" in drawn


def test_a_short_work_leaves_nothing_in_a_log_file(capsys) -> None:
    with progress_bar("measuring", 3) as bar:
        bar.set_description_str("and again", refresh=False)
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_a_long_work_leaves_lines_in_a_log_file(monkeypatch, capsys) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.05)
    for _ in progress_bar("measuring", 4, of="abcd", leave=False):
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 5
    assert all(line.startswith("measuring: ") for line in lines)
    assert "measuring: 100%" in lines[-1]
