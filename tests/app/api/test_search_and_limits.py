"""Searches, comparisons among candidates, and deadlines, over HTTP."""

import asyncio
import json
import math
import time

import pytest


async def post(client, path: str, **body):
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("model", ["english", "bytes", "counts"])
def test_a_search_finds_likelier_texts_than_taking_the_likeliest_token(serve, model) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The cat", "model": model, "max_tokens": 8, "logprobs": 1}
        greedy = await post(client, "/generate", **asked, temperature=0)
        found = await post(client, "/generate", **asked, num_beams=8, n=3, length_penalty=0)
        again = await post(client, "/generate", **asked, num_beams=8, n=3, length_penalty=0)
        assert found == again
        texts = [choice["text"] for choice in found["choices"]]
        assert [choice["index"] for choice in found["choices"]] == [0, 1, 2]
        assert len(set(texts)) >= 2
        sums = [sum(t["logprob"] for t in c["logprobs"]) for c in found["choices"]]
        assert sums == sorted(sums, reverse=True)
        assert sums[0] >= sum(t["logprob"] for t in greedy["choices"][0]["logprobs"]) - 1e-5

    serve(body)


def test_a_search_takes_several_prompts_stops_and_states(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "num_beams": 3, "max_tokens": 6, "ignore_eos": True}
        both = await post(client, "/generate", prompt=["The cat", "A"], **asked)
        for prompt, choice in zip(["The cat", "A"], both["choices"], strict=True):
            alone = await post(client, "/generate", prompt=prompt, **asked)
            assert alone["choices"][0]["text"] == choice["text"]
        text = both["choices"][0]["text"]
        word = text.split()[1]
        cut = await post(
            client, "/generate", prompt="The cat", stop=word, return_state=True, **asked
        )
        assert word not in cut["choices"][0]["text"]
        assert cut["choices"][0]["finish_reason"] == "stop"
        state = cut["choices"][0]["state"]
        assert (await client.post("/next", json={"state": state})).status_code == 200

    serve(body)


@pytest.mark.parametrize(
    "asked",
    [
        {"num_beams": 4, "temperature": 0.5},
        {"num_beams": 4, "stream": True},
        {"num_beams": 4, "best_of": 4},
        {"num_beams": 2, "n": 3},
        {"num_beams": 33},
        {"num_beams": 4, "max_tokens": 0},
        {"length_penalty": 2.0},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(serve, asked) -> None:
    async def body(client) -> None:
        response = await client.post("/generate", json={"prompt": "The cat", **asked})
        assert response.status_code == 400, response.text

    serve(body)


def test_a_search_of_more_hypotheses_than_slots_is_refused(serve) -> None:
    async def body(client) -> None:
        response = await client.post("/generate", json={"prompt": "The cat", "num_beams": 5})
        assert response.status_code == 400
        assert "4 slots" in response.json()["error"]["message"]

    serve(body, max_slots=4)


WORDS = ["cat", "dog", "mat"]


@pytest.mark.parametrize("model", ["english", "counts"])
def test_candidates_compared_among_themselves_keep_their_proportions(serve, model) -> None:
    async def body(client) -> None:
        asked = {"prefix": "The old", "model": model, "candidates": WORDS}
        whole = (await post(client, "/next", **asked))["results"][0]
        among = (await post(client, "/next", **asked, normalize="candidates"))["results"][0]
        before = [each["probability"] for each in whole["candidates"]]
        after = [each["probability"] for each in among["candidates"]]
        assert sum(after) == pytest.approx(1, abs=1e-5)
        for p, q in zip(before, after, strict=True):
            assert q == pytest.approx(p / sum(before), rel=1e-4)
        assert among["predictions"] == []
        assert among["entropy"] == pytest.approx(-sum(q * math.log(q) for q in after), abs=1e-4)

    serve(body)


def test_a_session_compares_candidates_too_adaptive_or_not(serve) -> None:
    async def body(client) -> None:
        for adaptive in (False, True):
            opened = await post(
                client, "/sessions", text="The cat sat on the", model="english", adaptive=adaptive
            )
            path = f"/sessions/{opened['session']}/next"
            whole = await post(client, path, candidates=WORDS)
            among = await post(client, path, candidates=WORDS, normalize="candidates")
            total = sum(each["probability"] for each in whole["candidates"])
            for each, other in zip(whole["candidates"], among["candidates"], strict=True):
                expected = each["probability"] / total
                assert other["probability"] == pytest.approx(expected, rel=1e-4)

    serve(body)


@pytest.mark.parametrize(
    "asked",
    [
        {"normalize": "candidates"},
        {"normalize": "candidates", "candidates": ["cat sat"]},
        {"normalize": "candidates", "candidates": ["cat", "zzzq"]},
    ],
)
def test_a_comparison_of_nothing_or_of_several_tokens_is_refused(serve, asked) -> None:
    async def body(client) -> None:
        for path in ("/next", "/sessions/{}/next"):
            opened = await post(client, "/sessions", model="english")
            response = await client.post(path.format(opened["session"]), json=asked)
            assert response.status_code == 400, response.text
            assert response.json()["error"]["param"] == "candidates"

    serve(body)


def test_hypotheses_compared_among_their_own_words_add_up_to_one(serve) -> None:
    async def body(client) -> None:
        hypotheses = [{"text": word} for word in WORDS]
        asked = {"context": "The old", "model": "english", "hypotheses": hypotheses}
        found = await post(client, "/rescore", **asked, normalize="hypotheses")
        shares = [math.exp(each["log_likelihood"]) for each in found["hypotheses"]]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        whole = await post(client, "/rescore", **asked)
        order = [each["text"] for each in whole["hypotheses"]]
        assert [each["text"] for each in found["hypotheses"]] == order

    serve(body)


ENDLESS = {"prompt": "The", "model": "english", "max_tokens": 10**8, "ignore_eos": True}


@pytest.mark.parametrize("limit", ["the caller's", "the server's"])
def test_a_deadline_ends_the_work_and_frees_the_slot(serve, limit) -> None:
    timeout = {"timeout": 0.2} if limit == "the caller's" else {"timeout": 100}

    async def body(client) -> None:
        start = time.monotonic()
        for asked in (ENDLESS, {**ENDLESS, "n": 3}):
            response = await client.post("/generate", json={**asked, **timeout})
            assert response.status_code == 504
            assert response.json()["error"]["code"] == "deadline_passed"
        answer = await client.post("/next", json={"prefix": "The", "model": "english"})
        assert answer.status_code == 200
        assert time.monotonic() - start < 20
        assert asyncio.all_tasks() >= {asyncio.current_task()}

    settings = {} if limit == "the caller's" else {"request_timeout": 0.2}
    serve(body, max_slots=1, max_queue=4, max_tokens=10**9, **settings)


def test_a_deadline_ends_a_stream_with_an_error_event(serve) -> None:
    async def body(client) -> None:
        asked = {**ENDLESS, "stream": True, "timeout": 0.3}
        response = await client.post("/generate", json=asked)
        assert response.status_code == 200
        events = [line for line in response.text.split("\n") if line]
        assert "[DONE]" not in events[-1]
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert error["code"] == "deadline_passed"
        assert len(events) > 2

    serve(body, max_slots=1, max_tokens=10**9)


def test_a_text_cut_at_a_stop_gives_its_state_though_every_slot_is_taken(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "stop": ["e", "a"], "return_state": True, "ignore_eos": True}
        found = await post(client, "/generate", prompt="The", n=4, max_tokens=500, **asked)
        assert [choice["finish_reason"] for choice in found["choices"]] == ["stop"] * 4
        for choice in found["choices"]:
            after = await client.post("/next", json={"state": choice["state"]})
            assert after.status_code == 200

    serve(body, max_slots=4, max_queue=4)


@pytest.mark.parametrize("num_words", [1, 3])
def test_what_follows_the_end_of_a_text_is_not_scored_but_refused(serve, num_words) -> None:
    async def body(client) -> None:
        ended = None
        for seed in range(200):
            asked = {"prompt": "The", "model": "english", "seed": seed, "return_state": True}
            (choice,) = (await post(client, "/generate", max_tokens=30, **asked))["choices"]
            if choice["finish_reason"] == "stop":
                ended = choice["state"]
                break
        assert ended
        words = " ".join(WORDS[:num_words])
        bodies = {
            "/score": {"text": words, "state": ended},
            "/rescore": {"hypotheses": [{"text": words}], "state": ended},
            "/sessions": {"text": words + " ", "state": ended, "adaptive": True},
        }
        for path, asked in bodies.items():
            response = await client.post(path, json=asked)
            assert (path, response.status_code) == (path, 400), response.text
            assert response.json()["error"]["code"] == "ended_text"
        again = {"state": ended, "prompt": words, "max_tokens": 3}
        assert (await client.post("/generate", json=again)).status_code == 200

    serve(body)
