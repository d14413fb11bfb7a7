"""Work that is no run shows on a terminal at once, and in a log file only where it takes long."""

import sys

from training import progress_bar as module
from training.progress_bar import progress_bar


def test_a_terminal_shows_it_at_once(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress_bar("measuring", 3, of="abc")) == ["a", "b", "c"]
    assert "measuring: 100%" in capsys.readouterr().err


def test_a_short_work_leaves_nothing_in_a_log_file(capsys) -> None:
    assert list(progress_bar("measuring", 3, of="abc")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_long_work_leaves_lines_in_a_log_file(monkeypatch, capsys) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 1e-6)
    list(progress_bar("measuring", 3, of="abc", leave=False))
    assert "measuring: 100%" in capsys.readouterr().err
