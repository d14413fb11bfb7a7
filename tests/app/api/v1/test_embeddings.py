"""Embeddings are what a language model remembers, of unit length, in either encoding."""

import base64

import numpy as np
import pytest
import torch

from refrain.inference.operations import embedding
from refrain.models.checkpoint import load_checkpoint

TEXTS = ["The cat sat on the mat.", "A lovely day!", "The dog"]


async def embed(client, **body):
    response = await client.post("/v1/embeddings", json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("model", ["tang", "english", "bytes"])
def test_an_embedding_is_the_mean_of_the_hidden_states(serve, checkpoints, model) -> None:
    checkpoint = load_checkpoint(checkpoints / model)
    network, tokenizer = checkpoint.model, checkpoint.tokenizer

    async def body(client) -> None:
        answer = await embed(client, model=model, input=TEXTS)
        for text, row in zip(TEXTS, answer["data"], strict=True):
            ids = torch.tensor([[tokenizer.eos_id, *tokenizer.encode(text).ids]])
            with torch.inference_mode():
                features_BTF, _ = network.read(ids, network.zero_state(1))
            mean = features_BTF[0, 1:].mean(dim=0).numpy()
            theirs = np.array(row["embedding"])
            assert theirs.shape == mean.shape
            assert np.linalg.norm(theirs) == pytest.approx(1, abs=1e-6)
            assert theirs @ mean / np.linalg.norm(mean) > 0.99

    serve(body)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_long_text_is_embedded_as_in_one_piece(serve, monkeypatch, pooling) -> None:
    found = []

    async def body(client) -> None:
        asked = {"model": "english", "text": TEXTS[0], "pooling": pooling}
        found.append((await client.post("/embed", json=asked)).json())

    for stride in (1_000, 7, 3, 2):
        monkeypatch.setattr(embedding, "STRIDE", stride)
        serve(body)
    assert all(answer == found[0] for answer in found)


def test_a_text_has_one_embedding_whatever_stands_beside_it(serve) -> None:
    async def body(client) -> None:
        together = await embed(client, model="english", input=TEXTS)
        for text, row in zip(TEXTS, together["data"], strict=True):
            alone = await embed(client, model="english", input=text)
            assert alone["data"][0]["embedding"] == row["embedding"]
        assert [row["index"] for row in together["data"]] == [0, 1, 2]
        assert together["usage"]["prompt_tokens"] == together["usage"]["total_tokens"] > 0

    serve(body)


def test_base64_holds_the_same_numbers(serve) -> None:
    async def body(client) -> None:
        plain = await embed(client, model="english", input=TEXTS)
        packed = await embed(client, model="english", input=TEXTS, encoding_format="base64")
        for one, other in zip(plain["data"], packed["data"], strict=True):
            floats = np.frombuffer(base64.b64decode(other["embedding"]), "<f4")
            assert floats.tolist() == one["embedding"]

    serve(body)


def test_the_plain_route_reports_the_same_and_can_take_the_last_state(serve) -> None:
    async def body(client) -> None:
        theirs = await embed(client, model="english", input=TEXTS)
        ours = (await client.post("/embed", json={"model": "english", "text": TEXTS})).json()
        vectors = [row["embedding"] for row in theirs["data"]]
        assert [row["embedding"] for row in ours["results"]] == vectors
        asked = {"model": "english", "text": TEXTS[0], "pooling": "last"}
        last = (await client.post("/embed", json=asked)).json()["results"][0]["embedding"]
        assert np.linalg.norm(last) == pytest.approx(1, abs=1e-6)
        assert last != vectors[0]
        refused = await client.post("/embed", json={"text": ""})
        assert refused.json()["error"]["param"] == "text"

    serve(body)


REFUSED = {
    "a text of nothing": {"input": ""},
    "no text": {"input": []},
    "a model without states": {"input": "a", "model": "counts"},
    "a classifier": {"input": "a", "model": "sentiment-en"},
    "another size": {"input": "a", "model": "english", "dimensions": 3},
    "another encoding": {"input": "a", "encoding_format": "hex"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_embedding_is_refused(serve, name) -> None:
    async def body(client) -> None:
        response = await client.post("/v1/embeddings", json=REFUSED[name])
        assert response.status_code == 400, response.text
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    serve(body)
