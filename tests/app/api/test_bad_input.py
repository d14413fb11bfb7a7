"""Whatever a caller sends, the answer is a clear refusal of one shape: never a 500, never a hang."""

import asyncio
import itertools
import json

import pytest

ROUTES = {"/generate": "prompt", "/score": "text", "/next": "prefix", "/sentiment": "text"}

RAW = {
    "nothing": b"",
    "white space": b" \n",
    "no JSON": b"{prompt: 1",
    "a list": b"[]",
    "a string": b'"hello"',
    "null": b"null",
    "NaN": b'{"%s": "a", "temperature": NaN}',
    "infinity": b'{"%s": "a", "temperature": Infinity}',
    "a number out of range": b'{"%s": "a", "temperature": 1e400}',
    "an endless integer": b'{"%s": "a", "max_tokens": ' + b"9" * 5000 + b"}",
    "half a surrogate pair": b'{"%s": "\\ud800"}',
    "a surrogate in a key": b'{"\\udfff": "a"}',
    "bytes that are no UTF-8": b'{"%s": "\xff\xfe"}',
    "a deep nest": b'{"%s": ' + b"[" * 100_000,
    "an unknown field": b'{"%s": "a", "colour": "red"}',
    "an unknown model": b'{"%s": "a", "model": "gpt"}',
    "a number for a text": b'{"%s": 3}',
    "null for a text": b'{"%s": null}',
    "an empty list": b'{"%s": []}',
    "a list of numbers": b'{"%s": [1]}',
    "too many texts": b'{"%s": [' + b", ".join([b'"a"'] * 1000) + b"]}",
}
FIELDS = {
    "/generate": [
        {"max_tokens": -1},
        {"max_tokens": 10**9},
        {"max_tokens": True},
        {"max_tokens": "3"},
        {"max_tokens": 2.5},
        {"temperature": -1},
        {"temperature": "hot"},
        {"temperature": True},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"repetition_penalty": 0},
        {"seed": -1},
        {"seed": 2**63},
        {"n": 0},
        {"n": 129},
        {"stop": ""},
        {"stop": ["a"] * 17},
        {"logprobs": 21},
        {"stream": "yes"},
        {"model": "sentiment-en"},
    ],
    "/score": [{"per_token": 1}, {"model": "sentiment-zh"}],
    "/next": [
        {"top_k": -1},
        {"starts_with": "a" * 101},
        {"candidates": []},
        {"candidates": [""]},
        {"candidates": ["a"] * 128},
        {"model": "sentiment-en"},
    ],
    "/sentiment": [{"language": "fr"}, {"model": "tang"}],
}


def check_refusal(response, statuses=(400,)) -> dict:
    assert response.status_code in statuses, response.text[:300]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert len(error["message"]) < 500
    assert response.headers["x-request-id"]
    return error


@pytest.mark.parametrize("route", ROUTES)
def test_a_broken_body_is_refused(serve, route) -> None:
    async def body(client) -> None:
        for name, raw in RAW.items():
            content = raw.replace(b"%s", ROUTES[route].encode())
            response = await client.post(route, content=content)
            check_refusal(response, (404,) if name == "an unknown model" else (400,))

    serve(body)


@pytest.mark.parametrize("route", ROUTES)
def test_a_value_out_of_range_is_refused_by_its_name(serve, route) -> None:
    async def body(client) -> None:
        for fields in FIELDS[route]:
            response = await client.post(route, json={ROUTES[route]: "a", **fields})
            error = check_refusal(response)
            (name,) = fields
            assert name in (error["param"] or "") or name in error["message"], error

    serve(body)


TEXTS = ["", " ", "\x00", "\n" * 50, "🙂" * 30, "नमस्ते", "\u202eabc", "ab" * 50_000, "<eos><unk>"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", [None, "bytes"])
def test_any_text_is_served_or_refused_clearly(serve, route, model) -> None:
    async def body(client) -> None:
        for text in TEXTS:
            asked = {ROUTES[route]: text}
            if model and route != "/sentiment":
                asked["model"] = model
            response = await client.post(route, json=asked)
            if response.status_code != 200:
                assert "limit" in check_refusal(response)["message"]

    serve(body)


@pytest.mark.parametrize("route", ROUTES)
def test_a_megabyte_of_text_is_served_or_refused_clearly(serve, route) -> None:
    async def body(client) -> None:
        text = "The cat sat on the mat. " * 45_000
        response = await client.post(route, json={ROUTES[route]: text, "model": MODELS[route]})
        check_refusal(response)

    serve(body)


MODELS = {"/generate": "bytes", "/score": "bytes", "/next": "bytes", "/sentiment": "sentiment-en"}


def test_a_body_over_the_limit_is_refused_whether_announced_or_not(serve) -> None:
    async def body(client) -> None:
        content = json.dumps({"text": "a" * 3000}).encode()
        check_refusal(await client.post("/score", content=content), (413,))

        async def chunks():
            for start in range(0, len(content), 500):
                yield content[start : start + 500]

        error = check_refusal(await client.post("/score", content=chunks()), (413,))
        assert error["code"] == "body_too_large"

    serve(body, max_body_bytes=2000)


def test_a_fault_deep_in_a_body_is_reported_by_its_location(serve) -> None:
    async def body(client) -> None:
        response = await client.post("/rescore", json={"hypotheses": ["a", "b"]})
        assert check_refusal(response)["param"] == "hypotheses.0"
        response = await client.post("/generate", json={"num_beams": 2, "temperature": 0.5})
        assert check_refusal(response)["param"] == "temperature"

    serve(body)


def test_unknown_routes_and_methods_have_the_same_shape(serve) -> None:
    async def body(client) -> None:
        assert check_refusal(await client.get("/nothing"), (404,))["code"] == "not_found"
        assert check_refusal(await client.get("/score"), (405,))["code"] == "method_not_allowed"
        error = check_refusal(await client.get("/models/gpt"), (404,))
        assert "tang" in error["message"]

    serve(body)


def test_a_full_queue_is_a_503_before_a_stream_starts(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "max_tokens": 20_000_000, "ignore_eos": True, "n": 2}
        busy = asyncio.create_task(client.post("/generate", json=asked))
        for _ in itertools.count():
            load = (await client.get("/load")).json()
            if any(each["num_waiting"] for each in load["models"]):
                break
            await asyncio.sleep(0)
        response = await client.post("/next", json={"prefix": "The"})
        assert check_refusal(response, (503,))["code"] == "overloaded"
        for stream in (False, True):
            response = await client.post("/generate", json={"prompt": "The", "stream": stream})
            assert check_refusal(response, (503,))["code"] == "overloaded"
            assert response.headers["retry-after"]
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)

    serve(body, max_slots=1, max_queue=1, max_tokens=20_000_000)


def test_a_request_id_comes_back_if_it_is_sane(serve) -> None:
    async def body(client) -> None:
        answers = [
            await client.get("/health/live", headers={"x-request-id": given})
            for given in ("abc-123", "bad id", "x" * 200)
        ]
        ids = [answer.headers["x-request-id"] for answer in answers]
        assert ids[0] == "abc-123"
        assert len(ids[1]) == len(ids[2]) == 32

    serve(body)


def test_a_content_type_that_lies_does_not_matter(serve) -> None:
    async def body(client) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            response = await client.post(
                "/next", content=b'{"prefix": "The"}', headers={"content-type": kind}
            )
            assert response.status_code == 200

    serve(body)


@pytest.mark.parametrize("content", ["{'text': 'The'}", '{text: "The"}'])
def test_a_body_in_other_quotes_than_json_has_is_reported(serve, content) -> None:
    async def body(client) -> None:
        response = await client.post("/score", content=content)
        assert response.status_code == 400
        assert "double quotes" in response.json()["error"]["message"]

    serve(body)


def test_a_model_of_another_task_is_named_with_those_that_would_do(serve) -> None:
    async def body(client) -> None:
        response = await client.post("/sentiment", json={"text": "The", "model": "english"})
        message = response.json()["error"]["message"]
        assert message.startswith("this route takes a classifier, not english")
        assert "sentiment-en" in message

    serve(body)


@pytest.mark.parametrize(
    ("route", "asked", "message"),
    [
        (
            "/generate",
            {"prompt": "The", "max_token": 5},
            "unknown field max_token; did you mean max_tokens?",
        ),
        ("/next", {"text": "The"}, "unknown field text; did you mean prefix?"),
        ("/score", {"prompt": "The"}, "unknown field prompt; did you mean text?"),
        ("/generate", {"input": "The"}, "unknown field input; did you mean prompt?"),
        ("/next", {"colour": 1}, "unknown field colour; there are prefix, model"),
        ("/score", {"text": []}, "text: give a string, or a list of at least one string"),
        (
            "/generate",
            {"prompt": ["a", 3]},
            "prompt: give a string, or a list of at least one string",
        ),
    ],
)
def test_a_refusal_shows_what_to_do_instead(serve, route, asked, message) -> None:
    async def body(client) -> None:
        response = await client.post(route, json=asked)
        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith(message)
        assert response.json()["error"]["param"] in message

    serve(body)


def test_a_state_that_was_changed_or_is_of_another_model_is_refused(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The cat", "max_tokens": 3, "return_state": True, "seed": 1}
        answer = (await client.post("/generate", json={**asked, "model": "english"})).json()
        state = answer["choices"][0]["state"]
        swapped = state[:40] + ("A" if state[40] != "A" else "B") + state[41:]
        for broken in (swapped, state[:-8], "", "!", "é"):
            response = await client.post("/generate", json={"prompt": "a", "state": broken})
            assert check_refusal(response)["param"] == "state", broken
        stale = await client.post("/next", json={"prefix": "a", "state": state, "model": "bytes"})
        assert check_refusal(stale, (412,))["code"] == "stale_state"

    serve(body)


def test_more_texts_than_there_will_ever_be_room_for_is_the_callers_fault(serve) -> None:
    async def body(client) -> None:
        response = await client.post("/generate", json={"prompt": "The", "n": 5})
        assert check_refusal(response)["code"] == "too_many_texts"

    serve(body, max_slots=1, max_queue=2)
