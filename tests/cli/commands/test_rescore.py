"""`refrain rescore`: hypotheses of a recogniser as arguments and as lines, and their order."""

import json

import httpx
import pytest

from refrain.inference.local import LocalModel

HYPOTHESES = [
    {"text": "The cat sat.", "score": -4.1},
    {"text": "The zebra sat.", "score": -3.9},
    {"text": "The dog sit."},
]
LINES = "\n".join([*map(json.dumps, HYPOTHESES[:2]), "", "The dog sit."])


def test_hypotheses_are_ordered_by_their_score_and_how_they_read(asked, give, checkpoints) -> None:
    english = LocalModel(checkpoints / "english")
    give(LINES)
    (line,) = asked("rescore", "--weight", "0.5")
    assert line["model"] == "english"
    totals = {each["text"]: each["total"] for each in line["hypotheses"]}
    assert list(totals.values()) == sorted(totals.values(), reverse=True)
    for given in HYPOTHESES:
        read = english.score(given["text"]).log_likelihood
        expected = given.get("score", 0.0) + 0.5 * read
        assert totals[given["text"]] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("flags", [[], ["--context", "A lovely day!", "--weight", "2"]])
def test_lines_of_json_are_answered_as_the_route_does(asked, give, url, flags) -> None:
    give(LINES)
    (here,) = asked("rescore", *flags)
    give(LINES)
    assert asked("rescore", *flags, "--url", url) == [here]
    body = {"hypotheses": HYPOTHESES, "model": "english"}
    if flags:
        body |= {"context": "A lovely day!", "weight": 2.0}
    assert httpx.post(f"{url}/rescore", json=body).json() == here


def test_a_person_reads_totals_and_texts(refrain) -> None:
    rows = refrain("rescore", "The cat sat", "The zebra sat")
    totals = [float(row.split()[0]) for row in rows]
    assert totals == sorted(totals, reverse=True)
    assert {row[12:] for row in rows} == {"The cat sat", "The zebra sat"}


@pytest.mark.parametrize(
    "line", ['{"score": 1}', '{"text": 3}', '{"text": "a", "score": "b"}', '{"text": "a"',
             '{"text": "a", "score": NaN}', '{"text": "a", "score": 1' + 400 * "0" + "}"],
)  # fmt: skip
def test_a_line_that_is_no_hypothesis_is_named(refused, give, line) -> None:
    give(f"The cat sat\n\n{line}\n")
    assert 'line 3: an object needs a "text"' in refused("rescore")


def test_without_a_hypothesis_it_reports_how_to_give_some(refused, give) -> None:
    give("\n")
    assert "as arguments or as lines of standard input" in refused("rescore")
