"""`refrain embed`: a line of JSON for each text."""

import json
import math

import httpx
import pytest

from refrain.inference.local import LocalModel


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_are_those_of_the_route_and_of_unit_length(
    refrain, url, checkpoints, pooling
) -> None:
    english = LocalModel(checkpoints / "english")
    texts = ["The old cat sat.", "A lovely day!"]
    lines = [json.loads(line) for line in refrain("embed", *texts, "--pooling", pooling)]
    body = {"text": texts, "pooling": pooling, "model": "english"}
    answer = httpx.post(f"{url}/embed", json=body).json()
    assert [line["embedding"] for line in lines] == [r["embedding"] for r in answer["results"]]
    for text, line in zip(texts, lines, strict=True):
        assert line["text"] == text
        assert line["model"] == "english"
        assert math.hypot(*line["embedding"]) == pytest.approx(1, abs=1e-6)
        assert line["embedding"] == english.embed(text, pooling).tolist()
