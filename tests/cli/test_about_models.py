"""`refrain models` and `refrain bench`: what checkpoints are, and how fast one is here."""

import json

import pytest

from refrain.cli.commands import bench
from refrain.cli.main import main
from refrain.inference.local import LocalModel
from refrain.inference.operations.next_token import NextQuery


def test_models_are_a_table(refrain) -> None:
    header, *rows = refrain("models")
    assert header.split()[:3] == ["name", "task", "cell"]
    assert [row.split()[0] for row in rows] == [
        "counts", "english", "sentiment-en", "sentiment-zh", "tang",
    ]  # fmt: skip
    assert "language model" in rows[1]
    assert "lstm" in rows[1]
    assert "perplexity 12.5" in rows[1]
    assert rows[1].endswith("CC0")
    assert "ngram" in rows[0]


def test_models_are_lines_of_json(asked, checkpoints, url) -> None:
    import httpx

    found = {row["name"]: row for row in asked("models")}
    served = {row["name"]: row for row in httpx.get(f"{url}/models").json()["models"]}
    assert found.keys() == served.keys()
    for name, row in found.items():
        for key in ("task", "num_parameters", "vocab_size", "language", "license"):
            assert row[key] == served[name][key]
    (tang,) = asked("models", "show", "tang")
    assert tang == found["tang"]


def test_a_name_or_a_folder_shows_its_card(refrain, checkpoints) -> None:
    assert refrain("models", "show", "tang")[0] == "# tang"
    assert refrain("models", "show", str(checkpoints / "english"))[0] == "# english"


def test_an_unknown_name_lists_those_that_there_are(checkpoints, capsys) -> None:
    assert main(["models", "show", "nobody", "--models", str(checkpoints)]) == 2
    assert "there are: counts, english" in capsys.readouterr().err


def test_an_empty_folder_reports_how_to_get_a_model(tmp_path, capsys) -> None:
    assert main(["models", "--models", str(tmp_path)]) == 2
    assert "refrain train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "num_tokens"),
    [("tang", "春眠不觉晓，", 6), ("english", "The old cat. A dog!", 7)],
)
def test_bench_types_token_by_token(checkpoints, name, text, num_tokens) -> None:
    model = LocalModel(checkpoints / name)
    typed = bench.tokens_of(model, text)
    assert "".join(typed) == text
    assert len(typed) == num_tokens
    session, whole = model.session(), model.session(text)
    for token in typed:
        session.append(token)
    assert session.next(NextQuery(3)) == whole.next(NextQuery(3))


@pytest.mark.parametrize("model", ["english", "counts"])
def test_bench_measures_writing_scoring_and_typing(refrain, monkeypatch, model) -> None:
    for name, value in (("MAX_RUNS", 1), ("NUM_DOCUMENTS", 2), ("DOCUMENT_TOKENS", 9)):
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(bench, "NUM_TOKENS", 4)
    (line,) = refrain("bench", model, "--json", "--num-threads", "1")
    found = json.loads(line)
    assert found["model"] == model
    assert [figure["unit"] for figure in found["figures"]] == ["tokens/s"] * 4 + ["ms"]
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert all(figure["torch"] > 0 for figure in found["figures"][:3])
    table = refrain("bench", model, "--num-threads", "1")
    assert table[0].startswith(f"{model}, ")
    assert table[1].split() == ["Refrain", "torch", "fp32"]
    assert len(table) == 7
