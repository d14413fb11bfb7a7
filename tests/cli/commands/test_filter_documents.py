"""`refrain filter`: which documents of a file are kept, and how they are written."""

import gzip
import json
import os

import pytest

from refrain.cli.documents import document_file, document_filter
from refrain.cli.main import main
from refrain.inference.local import LocalModel

DOCUMENTS = [
    "The old cat sat on the mat.",
    "zebra zebra zebra",
    "",
    "A lovely day!",
    "the the the sat mat didn't",
    "The dog saw it.\r",
]


@pytest.fixture
def filtering(checkpoints, capsys):
    """Run `refrain filter` over the tiny checkpoints; return what it reports."""

    def run(*arguments: object, status: int = 0) -> str:
        given = [str(argument) for argument in arguments]
        assert main(["filter", *given, "--models", str(checkpoints)]) == status
        return capsys.readouterr().err

    return run


@pytest.fixture
def perplexities(checkpoints):
    """The perplexity of each document."""
    model = LocalModel(checkpoints / "english")
    return [model.score(text.removesuffix("\r")).perplexity for text in DOCUMENTS]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes("\n".join(DOCUMENTS).encode())
    return path


def test_documents_up_to_a_perplexity_are_kept_as_they_were(
    filtering, source, tmp_path, perplexities
) -> None:
    limit = sorted(filter(None, perplexities))[2]
    report = filtering(source, tmp_path / "out.txt", "--max-perplexity", repr(limit))
    kept = [t for t, p in zip(DOCUMENTS, perplexities, strict=True) if p and p <= limit]
    assert len(kept) == 3
    lines = source.read_bytes().splitlines(keepends=True)
    assert (tmp_path / "out.txt").read_bytes() == b"".join(
        line for line in lines if line.rstrip(b"\n").decode() in kept
    )
    assert "6 documents" in report
    assert "kept 3 (50.0%)" in report


def test_scores_are_those_of_the_score_route(filtering, source, tmp_path, url) -> None:
    import httpx

    filtering(source, "--scores", tmp_path / "scores.jsonl")
    found = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    texts = [text.removesuffix("\r") for text in DOCUMENTS]
    body = {"text": texts, "model": "english"}
    expected = httpx.post(f"{url}/score", json=body).json()["results"]
    assert found == [{"line": n, **result} for n, result in enumerate(expected, start=1)]


def test_a_share_of_the_best_is_kept_in_two_readings(
    filtering, source, tmp_path, perplexities
) -> None:
    filtering(source, tmp_path / "out.txt", "--keep-best", "0.4", "--max-unknown", "0.5")
    eligible = [p for p, text in zip(perplexities, DOCUMENTS, strict=True) if p and "z" not in text]
    limit = sorted(eligible)[1]
    kept = [
        text
        for text, p in zip(DOCUMENTS, perplexities, strict=True)
        if p and p <= limit and "z" not in text
    ]
    assert (tmp_path / "out.txt").read_bytes().decode().rstrip("\n").split("\n") == kept


def test_lines_of_json_keep_every_byte(filtering, tmp_path) -> None:
    lines = [
        b'{"id":  1.50, "body": "The old cat sat on the mat.", "x": [null,"\\u00e9"] }\r\n',
        b'{"body": "zebra ! zebra", "id": 2}\n',
        b'{"id": 3, "body": "A lovely day!", "nested": {"body": 1e400}}',
    ]
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress(b"".join(lines)))
    output = tmp_path / "out.jsonl.gz"
    filtering(
        source, output, "--unit", "jsonl", "--field", "body", "--max-perplexity", "1e9",
        "--max-unknown", "0.5",
    )  # fmt: skip
    assert gzip.decompress(output.read_bytes()) == lines[0] + lines[2]


BAD = [
    (b"The \xff cat", "line", "line 2 is not UTF-8"),
    (b"x" * 200, "line", "line 2 has over 100 bytes"),
    (b"{", "jsonl", "line 2 is not JSON"),
    (b'{"text": 3}', "jsonl", "line 2 has no text in the field 'text'"),
    (b'{"text": "\\ud800"}', "jsonl", "line 2 has half of a surrogate pair"),
]


@pytest.mark.parametrize(("line", "unit", "message"), BAD, ids=[row[2] for row in BAD])
def test_a_bad_line_is_named_or_skipped(
    filtering, tmp_path, monkeypatch, line, unit, message
) -> None:
    monkeypatch.setattr(document_file, "MAX_LINE", 100)
    good = b'{"text": "The cat"}\n' if unit == "jsonl" else b"The cat\n"
    source, output, scores = tmp_path / "in", tmp_path / "out", tmp_path / "scores"
    source.write_bytes(good + line + b"\n" + good)
    flags = ["--unit", unit, "--max-perplexity", "1e9", "--scores", scores]
    assert message in filtering(source, output, *flags, status=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert "1 bad lines skipped" in filtering(source, output, *flags, "--skip-bad-lines")
    assert output.read_bytes() == good * 2
    assert message in json.loads(scores.read_text().splitlines()[1])["fault"]


def test_standard_input_goes_to_standard_output(give, checkpoints, capsysbinary) -> None:
    give("The cat\nThe dog\n")
    assert main(["filter", "-", "--max-perplexity", "1e9", "--models", str(checkpoints)]) == 0
    assert capsysbinary.readouterr().out == b"The cat\nThe dog\n"


def test_scores_alone_go_to_standard_output(source, checkpoints, capsys) -> None:
    assert main(["filter", str(source), "--scores", "-", "--models", str(checkpoints)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(DOCUMENTS)


def test_a_pipe_is_read_as_standard_input_is(filtering, tmp_path) -> None:
    documents = b"The cat\nThe dog\n" * 100
    reader, writer = os.pipe()
    os.write(writer, documents)
    os.close(writer)
    try:
        filtering(f"/dev/fd/{reader}", tmp_path / "out.txt", "--max-perplexity", "1e9")
    finally:
        os.close(reader)
    assert (tmp_path / "out.txt").read_bytes() == documents


def test_a_file_with_fewer_lines_at_its_second_reading_is_refused(
    filtering, source, tmp_path, monkeypatch
) -> None:
    def join_lines(*_: object) -> float:
        before = source.stat()
        source.write_bytes(source.read_bytes().replace(b"\n", b" "))
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
        return 1e9

    monkeypatch.setattr(document_filter, "_threshold", join_lines)
    report = filtering(source, tmp_path / "out.txt", "--keep-best", "0.5", status=2)
    assert "changed while it was read" in report
    assert not (tmp_path / "out.txt").exists()


def test_an_interrupted_run_leaves_no_half_file(filtering, source, tmp_path, monkeypatch) -> None:
    output = tmp_path / "out.txt"
    output.write_text("what was there before")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(document_filter.FilterProgress, "advance", stop)
    filtering(source, output, "--max-perplexity", "9", status=130)
    assert output.read_text() == "what was there before"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["in.txt", "out.txt"], "choose what to keep"),
        (["-", "out.txt", "--keep-best", "0.5"], "give a file, not standard input"),
        (
            ["/dev/null", "out.txt", "--keep-best", "0.5"],
            "give a file, not standard input or a pipe",
        ),
        (["in.txt", "in.txt", "--keep-best", "0.5"], "is the input"),
        (["in.txt", "--scores", "./in.txt"], "is the input"),
        (["in.txt", "out", "--scores", "./out", "--max-perplexity", "5"], "the documents go"),
        (["in.txt", "--scores", "-", "--max-perplexity", "5"], "the documents go"),
        (["none.txt", "--max-perplexity", "5"], "cannot be read"),
        ([".", "--max-perplexity", "5"], "cannot be read"),
        (["in.txt.zst", "--max-perplexity", "5"], "zstd -dc"),
        (["cut.gz", "--max-perplexity", "5"], "not a complete gzip file"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    filtering, source, monkeypatch, flags, message
) -> None:
    monkeypatch.chdir(source.parent)
    (source.parent / "cut.gz").write_bytes(gzip.compress(b"The cat\n" * 9)[:-9])
    assert message in filtering(*flags, status=2)
