"""Every study from its command to its files, in the smallest setting."""

import json
import sys

import pytest

from refrain.cli.main import main

TEXT = "".join(f"酒店的位置不错，早餐也很丰富，第{n}次来住了。\n" for n in range(60))
TINY = {
    "gradients": ["--distance", "6", "--steps", "1", "--seeds", "0"],
    "copy": ["--lags", "1", "2", "--steps", "2", "--parameters", "900", "--seeds", "0", "1"],
    "bptt": ["--lag", "2", "--hidden-size", "4", "--steps", "2", "--longest", "3", "--seeds", "0"],
    "word-order": ["--steps", "1", "--seeds", "0"],
    "tokenizers": ["--characters", "300", "--vocabulary", "320", "--seeds", "0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_study_writes_its_figure_and_its_numbers(name, tmp_path, capsys) -> None:
    text = tmp_path / "reviews.txt"
    text.write_text(TEXT, encoding="utf-8")
    source = ["--text", str(text)] if name in ("gradients", "tokenizers") else []
    output = tmp_path / "figures"
    assert main(["study", name, *TINY[name], *source, "--output", str(output)]) == 0
    assert "written:" in capsys.readouterr().out
    assert "settings" in json.loads((output / f"{name}.json").read_text("utf-8"))
    assert (output / f"{name}.svg").read_text("utf-8").rstrip().endswith("</svg>")


@pytest.mark.parametrize("name", TINY)
def test_help_teaches_by_example(name, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["study", name, "--help"])
    assert f"refrain study {name}" in capsys.readouterr().out.partition("examples:")[2]


def test_a_missing_package_is_reported_before_anything_is_run(
    monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["study", "bptt", "--output", str(tmp_path / "figures")]) == 2
    assert "--editable '.[studies]'" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


def test_a_corpus_that_is_not_there_reports_how_to_get_it(tmp_path, capsys) -> None:
    assert main(["study", "tokenizers", "--data", str(tmp_path)]) == 2
    assert "how to get it" in capsys.readouterr().err


def test_a_count_must_be_a_whole_number(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["study", "copy", "--lags", "0"])
    assert "must be a whole number, 1 or more" in capsys.readouterr().err
