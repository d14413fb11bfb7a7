"""Text to token ids and back over HTTP, as evaluation programs ask for them."""

import pytest

from refrain.models.checkpoint import load_checkpoint

TEXT = "The cat sat on the mat."


@pytest.mark.parametrize("model", ["tang", "english", "bytes"])
def test_text_becomes_ids_and_ids_become_the_text(serve, checkpoints, model) -> None:
    tokenizer = load_checkpoint(checkpoints / model).tokenizer
    text = "春眠不觉晓" if model == "tang" else TEXT

    async def body(client) -> None:
        asked = {"model": model, "prompt": text, "add_special_tokens": False}
        found = (await client.post("/tokenize", json=asked)).json()
        assert found["tokens"] == tokenizer.encode(text).ids
        assert found["count"] == len(found["tokens"])
        back = await client.post("/detokenize", json={"model": model, "tokens": found["tokens"]})
        assert back.json() == {"prompt": text}

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
def test_the_name_of_a_special_token_is_its_single_id(serve, model) -> None:
    async def body(client) -> None:
        info = (await client.get("/tokenizer_info", params={"model": model})).json()
        for name in ("bos_token", "eos_token", "unk_token"):
            asked = {"model": model, "prompt": info[name], "add_special_tokens": False}
            assert len((await client.post("/tokenize", json=asked)).json()["tokens"]) == 1
        asked = {"model": model, "prompt": info["bos_token"], "add_special_tokens": False}
        boundary = (await client.post("/tokenize", json=asked)).json()["tokens"]
        assert boundary[0] > 0
        asked = {"model": model, "prompt": TEXT}
        assert (await client.post("/tokenize", json=asked)).json()["tokens"][:1] == boundary
        back = await client.post("/detokenize", json={"model": model, "tokens": boundary})
        assert back.json() == {"prompt": info["eos_token"]}

    serve(body)


AMONG_WORDS = {"the <unk> mat": ["the", " <unk>", " mat"], "sat <unk>": ["sat", " <unk>"]}


@pytest.mark.parametrize("text", AMONG_WORDS)
def test_an_unknown_word_by_its_name_is_what_every_route_reads(serve, text) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "prompt": text, "add_special_tokens": False}
        found = (await client.post("/tokenize", json=asked)).json()["tokens"]
        asked = {"model": "english", "text": text, "per_token": True}
        scored = (await client.post("/score", json=asked)).json()["results"][0]
        assert len(found) == scored["num_tokens"] == len(AMONG_WORDS[text])
        assert found.count(0) == scored["num_unknown"] == 1

    serve(body)


@pytest.mark.parametrize("model", ["english", "bytes"])
def test_a_space_before_the_end_s_name_is_no_token_of_words(serve, model) -> None:
    async def body(client) -> None:
        async def ids(text: str) -> list[int]:
            asked = {"model": model, "prompt": text, "add_special_tokens": False}
            return (await client.post("/tokenize", json=asked)).json()["tokens"]

        cut = [*await ids("The cat"), 1, *await ids(" sat")]
        assert await ids("The cat<eos> sat") == cut
        if model == "english":
            assert await ids("The cat <eos> sat") == cut

    serve(body)


def test_no_two_tokens_look_alike(serve, checkpoints) -> None:
    for model in ("tang", "english", "bytes", "counts"):
        tokenizer = load_checkpoint(checkpoints / model).tokenizer
        surfaces = {tokenizer.surface(token_id) for token_id in range(tokenizer.vocab_size)}
        assert len(surfaces) == tokenizer.vocab_size

    async def body(client) -> None:
        asked = {"model": "bytes", "prompt": "é", "return_token_strs": True}
        found = (await client.post("/tokenize", json=asked)).json()
        assert found["token_strs"] == ["<eos>", r"bytes:\xc3", r"bytes:\xa9"]

    serve(body)


def test_without_a_name_every_route_means_the_first_language_model(serve) -> None:
    async def body(client) -> None:
        for text in ("春眠", TEXT):
            named = await client.post("/tokenize", json={"prompt": text, "model": "tang"})
            assert (await client.post("/tokenize", json={"prompt": text})).json() == named.json()
        info = (await client.get("/tokenizer_info")).json()
        assert info["tokenizer_class"] == "refrain:characters"

    serve(body)


def test_ids_beyond_the_vocabulary_are_refused(serve) -> None:
    async def body(client) -> None:
        for tokens in ([10**9], [-1], [True], ["a"]):
            response = await client.post("/detokenize", json={"tokens": tokens})
            assert response.status_code == 400
            assert response.json()["error"]["param"].startswith("tokens")

    serve(body)
