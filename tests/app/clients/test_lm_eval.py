"""The language model evaluation harness, unchanged, over a socket: its figures are those of `refrain evaluate`."""

import json
import math
import os
import subprocess
import sys

import httpx
import pytest

from refrain.models.checkpoint import load_checkpoint
from refrain.training.data.corpus import TextCorpus
from refrain.training.evaluation.evaluate import evaluate_checkpoint
from tests.support.checkpoints import ENGLISH

pytestmark = pytest.mark.slow

DOCUMENTS = [ENGLISH, "The cat sat. The old dog saw a mat.", "A day! A lovely mat."]
QUESTIONS = [
    {"context": "The old cat", "choices": [" sat", " dog", " on the mat"], "answer": 0},
    {"context": "The dog didn't", "choices": [" sit", " lovely day"], "answer": 0},
]

ROLLING = """
task: own_text
dataset_path: json
dataset_kwargs: {data_files: {test: texts.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
"""
CHOICE = """
task: own_choice
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
target_delimiter: ""
metric_list: [{metric: acc}]
"""


@pytest.fixture(scope="module")
def harness(plain_address, tmp_path_factory):
    """Run both tasks with the harness in a process of its own; gives results and samples by task."""
    folder = tmp_path_factory.mktemp("tasks")
    # The end of a document is a token too, as `refrain evaluate` counts it.
    texts = [{"text": f"{text}<eos>"} for text in DOCUMENTS]
    for name, rows in (("texts", texts), ("questions", QUESTIONS)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, task in (("rolling", ROLLING), ("choice", CHOICE)):
        filled = task.replace("texts.jsonl", str(folder / "texts.jsonl"))
        filled = filled.replace("questions.jsonl", str(folder / "questions.jsonl"))
        (folder / f"{name}.yaml").write_text(filled)
    base = f"{plain_address}/models/english/v1/completions"
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "local-completions"),
        *("--model_args", f"model=english,base_url={base},num_concurrent=2,max_retries=1"),
        *("--tasks", "own_text,own_choice", "--include_path", str(folder)),
        *("--output_path", str(folder / "out"), "--log_samples"),
    ]
    offline = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        command,
        env={**os.environ, **offline},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = folder / "out"
    (results,) = out.rglob("results_*.json")
    samples = {}
    for task in ("own_text", "own_choice"):
        (file,) = out.rglob(f"samples_{task}_*")
        samples[task] = [json.loads(line) for line in file.read_text().splitlines()]
    return json.loads(results.read_text())["results"], samples


def score(address: str, text: str, **options) -> dict:
    asked = {"model": "english", "text": text, "per_token": True, **options}
    return httpx.post(f"{address}/score", json=asked, timeout=30).json()["results"][0]


def test_rolling_likelihood_is_what_evaluate_measures(harness, plain_address, checkpoints) -> None:
    results, samples = harness
    theirs = [sample["filtered_resps"][0] for sample in samples["own_text"]]
    ours = [score(plain_address, text, count_end=True)["log_likelihood"] for text in DOCUMENTS]
    assert [float(value) for value in theirs] == pytest.approx(ours, rel=1e-9)
    corpus = TextCorpus(documents={"test": DOCUMENTS}, unit="documents")
    metrics = evaluate_checkpoint(load_checkpoint(checkpoints / "english"), corpus, ("test",))
    perplexity = next(m.value for m in metrics if m.name == "perplexity" and not m.model)
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    num_tokens = sum(len(tokenizer.encode(text).ids) + 1 for text in DOCUMENTS)
    assert math.exp(-sum(map(float, theirs)) / num_tokens) == pytest.approx(perplexity, rel=1e-5)
    num_words = sum(len(f"{text}<eos>".split()) for text in DOCUMENTS)
    word_perplexity = math.exp(-sum(map(float, theirs)) / num_words)
    assert results["own_text"]["word_perplexity,none"] == pytest.approx(word_perplexity, rel=1e-6)


def test_multiple_choice_is_decided_by_what_score_reports(harness, plain_address) -> None:
    results, samples = harness
    right = 0
    for question, sample in zip(QUESTIONS, samples["own_choice"], strict=True):
        ours = []
        for choice, response in zip(question["choices"], sample["filtered_resps"], strict=True):
            start = len(question["context"])
            tokens = score(plain_address, question["context"] + choice)["tokens"]
            rest = [token for token in tokens if token["start"] >= start]
            ours.append(math.fsum(token["logprob"] for token in rest))
            assert float(response[0]) == pytest.approx(ours[-1], rel=1e-9)
            assert str(response[1]) == str(all(token["rank"] == 1 for token in rest))
        right += ours.index(max(ours)) == question["answer"]
    assert results["own_choice"]["acc,none"] == right / len(QUESTIONS)
