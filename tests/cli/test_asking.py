"""Commands that ask a model: in one's own process, by a server, in pipes."""

import json
import math
import os
import subprocess
import sys

import httpx
import pytest

from refrain.cli.main import main

LINES = "The old cat sat.\n\nThe dog, and a zebra!\nA lovely day\n"
QUESTIONS = {
    "generate": ["generate", "The old ", "--max-tokens", "20", "--seed", "3", "--n", "3"],
    "stops": ["generate", "The", "--seed", "9", "--stop", "cat", "dog", "--temperature", "0.8"],
    "penalties": ["generate", "--seed", "1", "--top-k", "9", "--repetition-penalty", "1.3", ""],
    "a search": ["generate", "The cat", "--num-beams", "4", "--n", "2", "--max-tokens", "6"],
    "the best of several": ["generate", "The", "--best-of", "4", "--n", "2", "--seed", "5"],
    "biases": ["generate", "The", "--logit-bias", " cat=9", ".=-2", "--seed", "7"],
    "allowed tokens": ["generate", "The", "--allowed", " cat", " sat", "--seed", "1"],
    "alternatives": ["generate", "The old", "--logprobs", "2", "--seed", "8", "--n", "2"],
    "typical": ["generate", "The", "--typical-p", "0.5", "--seed", "6"],
    "score": ["score", "The old cat", "sat on a zebra.", "--count-end"],
    "every token": ["score", "The old cat", "--per-token"],
    "Chinese": ["score", "春眠不觉晓", "处处"],
    "next": ["next", "The old", "A", "--top-k", "4"],
    "letters": ["next", "The ", "--starts-with", "d"],
    "candidates": ["next", "The old", "--candidates", "cat", "cat sat", "zebra", "--top-k", "2"],
    "compared": ["next", "The", "--candidates", "cat", "dog", "--normalize", "candidates"],
    "rescore": ["rescore", "the cat sat", "the dog sat", "the zebra", "--context", "Then"],
    "rescore among words": ["rescore", "cat", "dog", "--normalize", "hypotheses", "--eos"],
    "rescore otherwise": [
        "rescore",
        "The old cat",
        "The dog",
        "--length-normalize",
        "--weight",
        "0.5",
        "--no-bos",
    ],
    "embed": ["embed", "The old cat", "A lovely day!"],
    "embed the last": ["embed", "The old cat", "--pooling", "last"],
    "sentiment": ["sentiment", "A lovely day!"],
    "another model": ["score", "The cat sat", "--model", "counts"],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_server_answers_what_one_s_own_process_answers(name, asked, url) -> None:
    here = asked(*QUESTIONS[name])
    assert here
    assert asked(*QUESTIONS[name], "--url", url) == here


@pytest.mark.parametrize(
    "command",
    [["score"], ["next", "--top-k", "3"], ["generate", "--seed", "2"], ["sentiment"], ["embed"]],
    ids=lambda command: command[0],
)
def test_lines_are_answered_in_order_here_and_by_a_server(command, asked, give, url) -> None:
    given = {"next": "prefix", "generate": "prompt"}.get(command[0], "text")
    lines = LINES.replace("\n\n", "\n") if command == ["embed"] else LINES  # no vector of nothing
    give(lines)
    here = asked(*command)
    assert [line[given] for line in here] == lines.split("\n")[:-1]
    give(lines)
    there = asked(*command, "--url", url)
    if command[0] == "sentiment":  # float32 on a processor: the last digits follow the batch
        here, there = ([line["label"] for line in found] for found in (here, there))
    assert there == here


def test_figures_are_those_of_the_routes(asked, url) -> None:
    (line,) = asked("score", "The old cat sat.")
    body = {"text": "The old cat sat.", "model": "english"}
    (result,) = httpx.post(f"{url}/score", json=body).json()["results"]
    assert {name: line[name] for name in result} == result
    (line,) = asked("generate", "The", "--seed", "5", "--n", "2", "--max-tokens", "9")
    body = {"prompt": "The", "seed": 5, "n": 2, "max_tokens": 9}
    answer = httpx.post(f"{url}/generate", json=body).json()
    assert [c["text"] for c in line["choices"]] == [c["text"] for c in answer["choices"]]
    assert (line["usage"], line["model"]) == (answer["usage"], answer["model"])


def test_lines_that_are_scored_are_json_without_being_asked_for(refrain, give) -> None:
    give("The cat\r\nThe dog")
    assert [json.loads(line)["text"] for line in refrain("score")] == ["The cat", "The dog"]


def test_the_first_line_with_letters_chooses_the_model(asked, give) -> None:
    give("12\n\n春眠不觉晓\nThe cat\n")
    assert {line["model"] for line in asked("score")} == {"tang"}
    give("12\n\nThe cat\n春眠不觉晓\n")
    assert {line["model"] for line in asked("score")} == {"english"}


def test_a_person_reads_plain_words(refrain) -> None:
    (line,) = refrain("score", "The cat sat")
    assert line.startswith("perplexity ")
    assert "3 tokens, english: The cat sat" in line
    rows = refrain("next", "The", "--candidates", "cat", "zebra")
    assert rows[0].endswith("%  cat")
    assert rows[1].endswith("zebra  (not in the vocabulary)")
    assert "of 5 stars" in refrain("sentiment", "A lovely day!")[0]
    texts = refrain("generate", "The", "--n", "2", "--seed", "1", "--stop", "\n")
    assert len(texts) == 3


def mean_logprob(choice: dict) -> float:
    logprobs = [each["logprob"] for each in choice["logprobs"]]
    return sum(logprobs) / len(logprobs)


def test_the_best_of_several_are_the_likeliest_by_the_mean_token(asked) -> None:
    flags = ["--seed", "5", "--max-tokens", "8", "--logprobs", "0", "--ignore-eos"]
    (all_five,) = asked("generate", "The", "--n", "5", *flags)
    (best,) = asked("generate", "The", "--best-of", "5", "--n", "2", *flags)
    ranked = sorted(all_five["choices"], key=mean_logprob, reverse=True)
    assert [c["text"] for c in best["choices"]] == [c["text"] for c in ranked[:2]]
    assert best["usage"]["completion_tokens"] == 40


def test_only_allowed_tokens_are_written_and_a_bias_makes_one_likelier(refrain) -> None:
    flags = ["--seed", "1", "--max-tokens", "12", "--ignore-eos"]
    (text,) = refrain("generate", "The", "--allowed", " cat", " sat", *flags)
    assert len(text.split()) == 12
    assert set(text.split()) == {"cat", "sat"}
    (text,) = refrain("generate", "The", "--logit-bias", " dog=100", *flags)
    assert text == " dog" * 12


def test_a_small_typical_p_keeps_the_token_whose_surprise_is_nearest_to_the_expected(
    asked,
) -> None:
    (following,) = asked("next", "The", "--top-k", "1000")
    known = {p["token"]: p["logprob"] for p in following["predictions"] if p["token"] != "<unk>"}
    total = math.log(math.fsum(map(math.exp, known.values())))  # `<unk>` is never written
    surprise = {token: total - logprob for token, logprob in known.items()}
    expected = math.fsum(math.exp(-each) * each for each in surprise.values())
    nearest = min(surprise, key=lambda token: abs(surprise[token] - expected))
    for seed in "123":
        flags = ["--typical-p", "1e-6", "--max-tokens", "1", "--seed", seed]
        (line,) = asked("generate", "The", *flags)
        assert line["choices"][0]["text"] == nearest


def test_a_text_is_shown_as_it_is_written(refrain, asked, url, monkeypatch) -> None:
    arguments = ["generate", "The old cat", "--seed", "4", "--stop", "\n"]
    (answer,) = asked(*arguments)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    expected = answer["choices"][0]["text"].splitlines()
    assert refrain(*arguments) == expected
    assert refrain(*arguments, "--url", url) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "The", "--top-p", "2"], ": --top-p must be above 0 and at most 1\n"),
        (["generate", "The", "--typical-p", "0"], ": --typical-p must be above 0 and at most 1\n"),
        (["generate", "The", "--temperature", "nan"], "--temperature must be at least 0"),
        (["generate", "The", "--n", "0"], "--n must be at least 1 and at most 128"),
        (["generate", "The", "--logprobs", "-1"], "--logprobs must be at least 0 and at most 20"),
        (["generate", "The", "--seed", "-1"], "--seed must be at least 0"),
        (["generate", "The", "--stop", ""], "--stop: an empty string"),
        (["generate", "The", "--num-beams", "2", "--top-k", "3"], "a search draws nothing"),
        (["generate", "The", "--num-beams", "2", "--n", "3"], "--num-beams 2 is less than n 3"),
        (["generate", "The", "--n", "3", "--best-of", "2"], "--best-of 2 is less than n 3"),
        (["generate", "The", "--length-penalty", "2"], "--length-penalty belongs to a search"),
        (["generate", "The", "--logit-bias", " cat"], "--logit-bias: must be a token and a number"),
        (["generate", "The", "--logit-bias", " cat=nan"], "--logit-bias must be at least -1,000"),
        (["generate", "The", "--allowed", "cat sat"], "'cat sat' is not one token"),
        (["next", "The", "--top-k", "-1"], "--top-k must be at least 0"),
        (["rescore", "The", "--weight", "nan"], "--weight must be at least -100"),
        (["embed", "The", ""], "an empty text has no embedding"),
        (["embed", "The", "--model", "counts"], "only recurrent models in int8 embed"),
        (["score", "The", "--model", "nobody"], "no model named 'nobody'"),
        (["score", "The", "--model", "sentiment-en"], "is a classifier"),
        (["sentiment", "The", "--model", "english"], "is a language model"),
        (["score", "The", "--url", "http://127.0.0.1:1"], "no server answers"),
        (["score", "The", "--num-threads", "-1"], "--num-threads must be 0 or more"),
        (
            ["next", "The", "--normalize", "candidates"],
            "normalize among candidates needs candidates",
        ),
    ],
)
def test_a_mistake_exits_with_2_and_shows_what_to_do(refused, arguments, message) -> None:
    assert message in refused(*arguments)


def test_a_line_that_is_not_utf8_is_named(refrain, give, capsys, checkpoints) -> None:
    give(b"The cat\nThe \xff dog\n")
    assert main(["score", "--models", str(checkpoints)]) == 2
    assert "line 2 is not UTF-8 (byte 5 of it)" in capsys.readouterr().err


def test_a_folder_without_checkpoints_reports_how_to_get_one(tmp_path, capsys) -> None:
    assert main(["score", "The", "--models", str(tmp_path)]) == 2
    assert "refrain train" in capsys.readouterr().err


def test_a_refusal_of_the_server_is_reported_in_its_words(url, capsys) -> None:
    assert main(["score", "The", "--model", "nobody", "--url", url]) == 2
    assert "the server answered 404: no model named 'nobody'" in capsys.readouterr().err


def test_a_reader_that_leaves_ends_it_quietly(checkpoints) -> None:
    command = [sys.executable, "-m", "refrain", "score", "--models", str(checkpoints)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=-1, stdout=-1, stderr=-1, env=environment, text=True
    ) as process:
        process.stdin.write("The cat\n")
        process.stdin.flush()
        assert '"The cat"' in process.stdout.readline()  # written before the input has ended
        process.stdout.close()
        process.stdin.write("The dog\n" * 10)
        process.stdin.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == ""
