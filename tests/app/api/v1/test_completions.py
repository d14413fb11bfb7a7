"""`/v1/completions` answers what programs written for OpenAI's API expect, and the numbers are the service's own."""

import json
import math

import pytest

from refrain.app.api.v1.completion_choices import logprob_values
from refrain.inference.operation import TokenAlternative, TokenLogprob
from refrain.models.checkpoint import load_checkpoint


async def complete(client, path: str = "/v1/completions", **body):
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def events_of(response) -> list[dict]:
    lines = [line for line in response.text.split("\n\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
def test_a_completion_is_the_text_that_generate_gives(serve, model) -> None:
    async def body(client) -> None:
        asked = {"model": model, "prompt": "The cat", "max_tokens": 12, "seed": 3, "n": 2}
        ours = (await client.post("/generate", json=asked)).json()
        theirs = await complete(client, **asked)
        assert [c["text"] for c in theirs["choices"]] == [c["text"] for c in ours["choices"]]
        assert theirs["usage"] == ours["usage"]
        assert theirs["object"] == "text_completion"
        assert theirs["id"].startswith("cmpl-")
        assert theirs["model"] == model
        assert theirs["choices"][0]["logprobs"] is None

    serve(body)


def test_without_a_length_sixteen_tokens_are_written(serve) -> None:
    async def body(client) -> None:
        for asked in ({}, {"max_tokens": None}):
            answer = await complete(client, model="english", prompt="", ignore_eos=True, **asked)
            assert answer["usage"]["completion_tokens"] == 16

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes"])
def test_prompts_may_be_strings_or_token_ids_one_or_several(serve, model, checkpoints) -> None:
    tokenizer = load_checkpoint(checkpoints / model).tokenizer
    texts = ["春眠不觉晓，", "The cat sat"]
    ids = [tokenizer.encode(text).ids for text in texts]

    async def body(client) -> None:
        asked = {"model": model, "max_tokens": 9, "seed": 5, "n": 2}
        several = await complete(client, prompt=texts, **asked)
        as_ids = await complete(client, prompt=ids, **asked)
        assert [c["index"] for c in several["choices"]] == [0, 1, 2, 3]
        assert as_ids["choices"] == several["choices"]
        one = await complete(client, prompt=ids[0], **asked)
        assert one["choices"] == several["choices"][:2]

    serve(body)


def test_the_boundary_at_the_beginning_of_ids_is_the_one_that_every_text_has(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "max_tokens": 9, "seed": 5}
        ids = (
            await client.post("/tokenize", json={"model": "english", "prompt": "The cat"})
        ).json()
        assert ids["tokens"][0] == 1
        with_boundary = await complete(client, prompt=ids["tokens"], **asked)
        without = await complete(client, prompt=ids["tokens"][1:], **asked)
        assert with_boundary["choices"] == without["choices"]
        assert with_boundary["usage"]["prompt_tokens"] == without["usage"]["prompt_tokens"] + 1

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
@pytest.mark.parametrize("max_tokens", [0, 1, 40])
def test_an_echo_with_logprobs_scores_every_token_of_the_prompt(serve, model, max_tokens) -> None:
    text = "The cat sat on the mat."

    async def body(client) -> None:
        asked = {"model": model, "prompt": "<eos>" + text, "seed": 1}
        answer = await complete(client, **asked, max_tokens=max_tokens, echo=True, logprobs=2)
        (choice,) = answer["choices"]
        logprobs = choice["logprobs"]
        score = {"model": model, "text": text, "per_token": True}
        ours = (await client.post("/score", json=score)).json()["results"][0]
        num_prompt = ours["num_tokens"] + 1
        assert {len(values) for values in logprobs.values()} == {num_prompt + max_tokens}
        assert logprobs["token_logprobs"][0] is None
        assert logprobs["top_logprobs"][0] is None
        scored = logprobs["token_logprobs"][1:num_prompt]
        assert scored == [token["logprob"] for token in ours["tokens"]]
        for value, top in zip(
            logprobs["token_logprobs"][1:], logprobs["top_logprobs"][1:], strict=True
        ):
            assert value in top.values()
        greedy = [top == 1 for top in (token["rank"] for token in ours["tokens"])]
        tops = logprobs["top_logprobs"][1:num_prompt]
        assert [s == max(t.values()) for s, t in zip(scored, tops, strict=True)] == greedy
        assert choice["text"].startswith("<eos>" + text)

    serve(body)


def test_offsets_show_where_each_token_stands_in_the_text(serve) -> None:
    async def body(client) -> None:
        asked = {
            "model": "english",
            "prompt": "The cat ",
            "max_tokens": 12,
            "echo": True,
            "logprobs": 0,
        }
        (choice,) = (await complete(client, **asked, seed=4, ignore_eos=True))["choices"]
        logprobs = choice["logprobs"]
        for token, offset in list(zip(logprobs["tokens"], logprobs["text_offset"], strict=True))[
            3:
        ]:
            assert choice["text"][offset:].startswith(token)
        assert all(len(top) == 1 for top in logprobs["top_logprobs"][1:])

    serve(body)


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("model", ["tang", "english", "bytes"])
def test_a_stream_of_chunks_has_what_the_whole_answer_has(serve, model, echo) -> None:
    async def body(client) -> None:
        asked = {
            "model": model,
            "prompt": ["The", ""],
            "max_tokens": 9,
            "seed": 5,
            "n": 2,
            "echo": echo,
        }
        whole = await complete(client, **asked, logprobs=1)
        streamed = {
            **asked,
            "logprobs": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        response = await client.post("/v1/completions", json=streamed)
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response)
        last = events.pop()
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
        assert all(event["usage"] is None for event in events)
        for choice in whole["choices"]:
            mine = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
            assert "".join(part["text"] for part in mine) == choice["text"]
            assert mine[-1]["finish_reason"] == choice["finish_reason"]
            for name, values in choice["logprobs"].items():
                sent = [value for part in mine for value in part["logprobs"][name]]
                assert sent == values, name

    serve(body)


def test_a_stop_string_is_never_returned(serve) -> None:
    async def body(client) -> None:
        asked = {
            "model": "english",
            "prompt": "The",
            "max_tokens": 40,
            "seed": 2,
            "ignore_eos": True,
        }
        text = (await complete(client, **asked, stop=[]))["choices"][0]["text"]
        stops = [text[10:14], "zzz", "yyy", "xxx", "www"]
        stopped = (await complete(client, **asked, stop=stops))["choices"][0]
        assert stopped["text"] == text[: text.index(stops[0])]
        assert stopped["finish_reason"] == "stop"

    serve(body)


def test_biases_go_by_token_id(serve, checkpoints) -> None:
    wanted = load_checkpoint(checkpoints / "english").tokenizer.surface(5)

    async def body(client) -> None:
        asked = {"model": "english", "prompt": "The", "max_tokens": 5, "ignore_eos": True}
        answer = await complete(client, **asked, logit_bias={"5": 1000}, logprobs=0)
        assert set(answer["choices"][0]["logprobs"]["tokens"]) == {wanted}

    serve(body)


def test_offsets_count_from_the_text_whether_a_space_was_dropped_or_not(serve, checkpoints) -> None:
    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    comma, cat = tokenizer.id_of(","), tokenizer.id_of(" cat")

    async def body(client) -> None:
        for token_id, surface in ((comma, ","), (cat, " cat")):
            asked = {"model": "english", "prompt": "The ", "max_tokens": 3, "ignore_eos": True}
            answer = await complete(client, **asked, logit_bias={str(token_id): 1000}, logprobs=0)
            (choice,) = answer["choices"]
            first = len(surface.lstrip())
            expected = [0, first, first + len(surface)]
            assert choice["logprobs"]["text_offset"] == expected
            assert len(choice["text"]) == first + 2 * len(surface)

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
def test_an_echo_changes_nothing_of_what_is_written(serve, model) -> None:
    async def body(client) -> None:
        asked = {
            "model": model,
            "prompt": ["The cat", "A"],
            "max_tokens": 9,
            "seed": 5,
            "logprobs": 1,
        }
        plain = await complete(client, **asked)
        echoed = await complete(client, **asked, echo=True)
        assert echoed["usage"] == plain["usage"]
        for one, other in zip(plain["choices"], echoed["choices"], strict=True):
            assert other["text"].endswith(one["text"])
            assert other["finish_reason"] == one["finish_reason"]

    serve(body)


def test_an_echo_fits_where_the_texts_fit(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "prompt": ["The cat"] * 4, "max_tokens": 0, "logprobs": 0}
        answer = await complete(client, **asked, echo=True)
        assert len(answer["choices"]) == 4

    serve(body, max_slots=1, max_queue=3)


REFUSED = {
    "a suffix": {"suffix": "end"},
    "stream options without a stream": {"stream_options": {"include_usage": True}},
    "a token that is none": {"prompt": [10**6]},
    "a token below zero": {"prompt": [-1]},
    "no tokens": {"prompt": []},
    "an empty one among several": {"prompt": [[5], []]},
    "strings and tokens": {"prompt": ["a", 5]},
    "true as a token": {"prompt": [True]},
    "an empty stop": {"stop": ""},
    "a bias of no token": {"logit_bias": {"the": 1}},
    "a bias of an unknown token": {"logit_bias": {"99999999": 1}},
    "a bias of a number without end": {"logit_bias": {"1" * 5_000: 1}},
    "a heat below zero": {"temperature": -1},
    "a length below zero": {"max_tokens": -1},
    "a number as a string": {"max_tokens": "3"},
    "the best of several in a stream": {"best_of": 3, "stream": True},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_all_four_keys(serve, name) -> None:
    async def body(client) -> None:
        response = await client.post("/v1/completions", json={"prompt": "The", **REFUSED[name]})
        assert response.status_code == 400, response.text
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    serve(body)


def test_unknown_fields_and_nulls_are_let_pass(serve) -> None:
    async def body(client) -> None:
        nulls = dict.fromkeys(
            (
                "temperature",
                "top_p",
                "n",
                "best_of",
                "stop",
                "seed",
                "logprobs",
                "echo",
                "stream",
                "suffix",
                "user",
            )
        )
        answer = await complete(client, model="english", prompt="The", wizardry=3, **nulls)
        assert len(answer["choices"]) == 1
        headers = {"authorization": "Bearer "}
        response = await client.post("/v1/completions", json={"prompt": "The"}, headers=headers)
        assert response.status_code == 200

    serve(body)


def test_a_path_may_name_the_model(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The cat", "max_tokens": 5, "seed": 1}
        named = await complete(client, "/models/counts/v1/completions", model="anything", **asked)
        plain = await complete(client, model="counts", **asked)
        assert named["choices"] == plain["choices"]
        info = (await client.get("/models/bytes/tokenizer_info")).json()
        assert info["tokenizer_class"] == "refrain:bpe"
        listed = (await client.get("/models/counts/v1/models")).json()
        assert listed["data"]
        missing = await client.post("/models/nobody/v1/completions", json=asked)
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "model_not_found"

    serve(body)


def test_a_logprob_of_nothing_is_a_very_small_number() -> None:
    top = [TokenAlternative("b", 0.0), TokenAlternative("c", -math.inf)]
    values = logprob_values([TokenLogprob("a", -math.inf, top, 0)])
    assert values["token_logprobs"] == [-9999.0]
    assert values["top_logprobs"] == [{"b": 0.0, "c": -9999.0, "a": -9999.0}]
