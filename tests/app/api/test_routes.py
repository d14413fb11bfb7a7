"""Each route answers what the contract promises, and the numbers are the model's."""

import asyncio
import json
import math

import pytest
import torch
from torch import nn

from refrain.app.api.http.disconnect import DeadlineError
from refrain.app.api.http.errors import TABLE, row_of
from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import (
    CheckpointError,
    ConfigError,
    ExportError,
    NativeLibraryError,
    PrecisionError,
    RefrainError,
    TokenizerError,
)


async def post(client, path: str, **body):
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_text_is_gone_on_with_and_its_seed_gives_it_again(serve) -> None:
    async def body(client) -> None:
        first = await post(client, "/generate", prompt="春", max_tokens=12, n=2)
        assert first["model"] == "tang"
        assert [choice["index"] for choice in first["choices"]] == [0, 1]
        assert first["usage"]["total_tokens"] == 1 + first["usage"]["completion_tokens"]
        again = await post(client, "/generate", prompt="春", max_tokens=12, n=2, seed=first["seed"])
        assert again == first
        alone = await post(client, "/generate", prompt="春", max_tokens=12, seed=first["seed"])
        assert alone["choices"] == first["choices"][:1]

    serve(body)


def test_many_callers_at_once_get_what_each_gets_alone(serve) -> None:
    async def body(client) -> None:
        def ask(n: int):
            return post(client, "/generate", prompt="The cat", max_tokens=n % 9, seed=n, logprobs=2)

        alone = [await ask(n) for n in range(24)]
        assert await asyncio.gather(*map(ask, range(24))) == alone

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
def test_a_stream_has_what_the_whole_answer_has(serve, model) -> None:
    async def body(client) -> None:
        asked = {"prompt": ["The", ""], "model": model, "max_tokens": 15, "seed": 5, "n": 2}
        whole = await post(client, "/generate", **asked)
        response = await client.post("/generate", json={**asked, "stream": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.text.split("\n\n") if line]
        assert lines.pop() == "data: [DONE]"
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        end = events.pop()
        assert (end["seed"], end["usage"]) == (whole["seed"], whole["usage"])
        for choice in whole["choices"]:
            mine = [event for event in events if event["index"] == choice["index"]]
            assert "".join(event["text"] for event in mine) == choice["text"]
            assert mine[-1]["finish_reason"] == choice["finish_reason"]

    serve(body)


def test_a_stop_string_ends_the_text_and_is_not_returned(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": "The", "max_tokens": 40, "seed": 2, "ignore_eos": True}
        text = (await post(client, "/generate", **asked))["choices"][0]["text"]
        stop = text[10:14]
        stopped = (await post(client, "/generate", **asked, stop=[stop, "zzz"]))["choices"][0]
        assert stopped["text"] == text[: text.index(stop)]
        assert stopped["finish_reason"] == "stop"

    serve(body)


def test_a_space_at_the_end_of_a_prompt_belongs_to_the_next_word(serve) -> None:
    async def body(client) -> None:
        asked = {"max_tokens": 3, "seed": 4, "ignore_eos": True}
        plain = await post(client, "/generate", prompt="The cat", **asked)
        spaced = await post(client, "/generate", prompt="The cat ", **asked)
        text = plain["choices"][0]["text"]
        assert spaced["choices"][0]["text"] == text.removeprefix(" ")

    serve(body)


def test_no_tokens_are_a_text_of_their_own(serve) -> None:
    async def body(client) -> None:
        answer = await post(client, "/generate", prompt="The", max_tokens=0)
        assert answer["choices"] == [{"index": 0, "text": "", "finish_reason": "length"}]
        assert answer["usage"]["completion_tokens"] == 0

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
def test_unknown_words_are_never_written(serve, model) -> None:
    async def body(client) -> None:
        answer = await post(
            client, "/generate", prompt="ζ", model=model, max_tokens=200, seed=1, n=4
        )
        assert all("<unk>" not in choice["text"] for choice in answer["choices"])

    serve(body)


@pytest.mark.parametrize("count_end", [False, True])
def test_a_score_equals_an_independent_network_of_torch_modules(
    serve, checkpoints, count_end
) -> None:
    text = "The cat saw the dog, and a zebra didn't sit."
    checkpoint = load_checkpoint(checkpoints / "english")
    weights, ids = checkpoint.model.state_dict(), checkpoint.tokenizer.encode(text).ids
    first, second = nn.LSTM(12, 16, batch_first=True), nn.LSTM(16, 12, batch_first=True)
    for layer, twin in enumerate((first, second)):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        twin.load_state_dict({f"{n}_l0": weights[f"stack.layers.{layer}.{n}"] for n in names})
    tokens = torch.tensor([[1, *ids, *([1] if count_end else [])]])
    hidden = second(first(weights["embedding.weight"][tokens[:, :-1]])[0])[0]
    logits = hidden @ weights["embedding.weight"].T + weights["output_bias"]
    losses = nn.functional.cross_entropy(logits[0], tokens[0, 1:], reduction="none").tolist()

    async def body(client) -> None:
        answer = await post(client, "/score", text=text, per_token=True, count_end=count_end)
        (result,) = answer["results"]
        mean = sum(losses) / len(losses)
        assert result["perplexity"] == pytest.approx(math.exp(mean), rel=1e-4)
        assert result["num_tokens"] == len(losses)
        assert result["num_unknown"] == 1
        assert [-token["logprob"] for token in result["tokens"]] == pytest.approx(losses, abs=1e-5)
        pieces = [text[token["start"] : token["end"]] for token in result["tokens"]]
        assert "".join(pieces) == text
        unknown = ["unknown" in token for token in result["tokens"]]
        assert unknown == [token_id == 0 for token_id in ids] + [False] * count_end
        assert result["bits_per_character"] == pytest.approx(
            sum(losses) / math.log(2) / len(text), rel=1e-5
        )

    serve(body, precision="fp32")


def test_an_empty_text_has_a_score_of_nothing(serve) -> None:
    async def body(client) -> None:
        (result,) = (await post(client, "/score", text=""))["results"]
        assert (result["perplexity"], result["log_likelihood"], result["num_tokens"]) == (
            None,
            0,
            0,
        )
        assert "tokens" not in result

    serve(body)


@pytest.mark.parametrize("model", ["tang", "english", "bytes", "counts"])
@pytest.mark.parametrize("num_words", [0, 1, 10, 1000])
def test_next_over_the_whole_vocabulary_sums_to_one(serve, model, num_words) -> None:
    async def body(client) -> None:
        prefix = " ".join(["cat"] * num_words)
        answer = await post(client, "/next", prefix=prefix, model=model, top_k=1_000_000)
        (result,) = answer["results"]
        probabilities = [prediction["probability"] for prediction in result["predictions"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities == sorted(probabilities, reverse=True)
        entropy = -sum(p * math.log(p) for p in probabilities if p)
        assert result["entropy"] == pytest.approx(entropy, rel=1e-4)

    serve(body)


def test_typed_letters_leave_the_words_that_begin_with_them(serve) -> None:
    async def body(client) -> None:
        every = (await post(client, "/next", prefix="The", top_k=1000))["results"][0]
        some = (await post(client, "/next", prefix="The", top_k=1000, starts_with="d"))["results"][
            0
        ]
        expected = [p for p in every["predictions"] if p["token"].lstrip(" ").startswith("d")]
        assert some["predictions"] == expected
        assert expected

    serve(body)


def test_a_candidate_of_several_tokens_follows_the_chain_rule(serve) -> None:
    async def body(client) -> None:
        asked = {"prefix": "The", "candidates": ["cat", "cat sat"]}
        one, two = (await post(client, "/next", **asked))["results"][0]["candidates"]
        after = await post(client, "/next", prefix="The cat", candidates=["sat"])
        sat = after["results"][0]["candidates"][0]
        assert two["logprob"] == pytest.approx(one["logprob"] + sat["logprob"], abs=1e-4)
        assert one["probability"] == pytest.approx(math.exp(one["logprob"]))

    serve(body)


def test_reviews_of_both_languages_find_their_model(serve) -> None:
    async def body(client) -> None:
        answer = await post(client, "/sentiment", text=["A lovely day", "春眠不觉晓", "", "123"])
        models = [result["model"] for result in answer["results"]]
        assert models == ["sentiment-en", "sentiment-zh", "sentiment-en", "sentiment-en"]
        for result in answer["results"]:
            assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            stars = 5 * (
                result["probabilities"]["positive"] + result["probabilities"]["neutral"] / 2
            )
            assert result["stars"] == pytest.approx(stars, abs=1e-5)
            assert result["label"] == max(result["probabilities"], key=result["probabilities"].get)
        named = await post(client, "/sentiment", text="A lovely day", language="zh")
        assert named["results"][0]["model"] == "sentiment-zh"

    serve(body)


def test_models_health_and_version_report_what_runs(serve) -> None:
    async def body(client) -> None:
        models = (await client.get("/models")).json()["models"]
        assert [model["name"] for model in models][:4] == [
            "tang",
            "english",
            "sentiment-en",
            "sentiment-zh",
        ]
        one = (await client.get("/models/counts")).json()
        assert (one["task"], one["config"]["order"]) == ("ngram", 3)
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
        assert set((await client.get("/version")).json()) == {
            "refrain",
            "python",
            "torch",
            "device",
        }

    serve(body)


def test_a_service_that_has_not_started_is_not_ready(checkpoints) -> None:
    import httpx

    from refrain.app.main import create_app
    from refrain.app.settings import Settings

    async def main() -> None:
        transport = httpx.ASGITransport(create_app(Settings(models=checkpoints)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/health/ready")
        assert response.status_code == 503
        assert response.headers["retry-after"]

    asyncio.run(main())


def test_the_documentation_asks_nothing_of_other_servers(serve) -> None:
    async def body(client) -> None:
        page = (await client.get("/docs")).text
        assert "//" not in page.replace("<!-- ", "").replace("// ", "").replace("text/", "")
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert name in page
            assert (await client.get(f"/static-offline-docs/{name}")).status_code == 200

    serve(body)


def test_every_example_of_the_documentation_works(serve) -> None:
    async def body(client) -> None:
        schema = (await client.get("/openapi.json")).json()
        tried = 0
        session = (await post(client, "/sessions"))["session"]
        for path, operations in schema["paths"].items():
            assert all("422" not in operation["responses"] for operation in operations.values())
            if "post" not in operations:
                continue
            kinds = operations["post"]["requestBody"]["content"]
            if "text/plain" in kinds:
                example = kinds["text/plain"]["example"]
                assert (await client.post(path, content=example)).status_code == 200
                continue
            content = kinds["application/json"]["schema"]
            body_schema = schema["components"]["schemas"][content["$ref"].rpartition("/")[2]]
            for example in body_schema["examples"]:
                await post(client, path.format(session=session), **example)
                tried += 1
        assert tried >= 4

    serve(body)


def leaves(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


BEFORE_REQUESTS = {
    ConfigError,
    CheckpointError,
    ExportError,
    NativeLibraryError,
    PrecisionError,
    TokenizerError,
}
"""What only loading, training or exporting raises: no request meets it."""


def test_every_error_that_a_request_may_meet_has_a_row_of_its_own() -> None:
    below = ("refrain.models.", "refrain.inference.", "refrain.app.")
    kinds = {kind for kind in leaves(RefrainError) if kind.__module__.startswith(below)}
    assert kinds >= BEFORE_REQUESTS
    assert (kinds - BEFORE_REQUESTS) | {DeadlineError} == set(TABLE)
    assert all(row_of(kind("x")).status not in (422, 501) for kind in kinds)
    assert {row_of(kind("x")).code for kind in BEFORE_REQUESTS} == {"internal"}


def test_a_text_goes_on_from_its_state_as_if_never_cut(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "seed": 11, "ignore_eos": True}
        whole = await post(client, "/generate", prompt="The cat", max_tokens=12, **asked)
        first = await post(
            client, "/generate", prompt="The cat", max_tokens=5, return_state=True, **asked
        )
        state = first["choices"][0]["state"]
        second = await post(client, "/generate", state=state, max_tokens=7, **asked)
        pieces = first["choices"][0]["text"] + second["choices"][0]["text"]
        assert pieces == whole["choices"][0]["text"]
        assert second["model"] == "english"

    serve(body)


def test_a_state_serves_every_route_and_every_server_that_shares_the_secret(serve) -> None:
    states: list[str] = []

    async def give(client) -> None:
        answer = await post(
            client, "/next", prefix="The old cat sat", model="english", return_state=True
        )
        states.append(answer["results"][0]["state"])

    async def take(client) -> None:
        ahead = {"model": "english", "state": states[0]}
        plain = await post(client, "/next", prefix="The old cat sat on", model="english")
        resumed = await post(client, "/next", prefix=" on", **ahead)
        assert resumed["results"][0] == plain["results"][0]
        scored = await post(client, "/score", text=" on the mat", per_token=True, **ahead)
        full = await post(
            client, "/score", text="The old cat sat on the mat", per_token=True, model="english"
        )
        tail = full["results"][0]["tokens"][-3:]
        assert [t["logprob"] for t in scored["results"][0]["tokens"]] == [
            t["logprob"] for t in tail
        ]

    serve(give, state_secret="shared", is_fresh=True)
    serve(take, state_secret="shared", is_fresh=True)


def test_a_stop_string_leaves_a_state_right_after_it(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "seed": 4, "ignore_eos": True, "prompt": "The"}
        whole = await post(client, "/generate", max_tokens=30, **asked)
        text = whole["choices"][0]["text"]
        stop = text[9:14]
        first = await post(
            client, "/generate", max_tokens=30, stop=stop, return_state=True, **asked
        )
        (choice,) = first["choices"]
        assert (choice["finish_reason"], text.startswith(choice["text"] + stop)) == ("stop", True)
        del asked["prompt"]
        rest = await post(client, "/generate", max_tokens=4, state=choice["state"], **asked)
        assert rest["choices"][0]["text"] in text

    serve(body)


def test_the_same_prompt_twice_gives_two_texts_and_the_seed_gives_both_again(serve) -> None:
    async def body(client) -> None:
        asked = {"prompt": ["The", "The"], "max_tokens": 12, "ignore_eos": True, "model": "english"}
        found = await post(client, "/generate", **asked)
        one, two = found["choices"]
        assert one["text"] != two["text"]
        assert await post(client, "/generate", seed=found["seed"], **asked) == found

    serve(body)


def test_a_session_grows_over_http_and_is_forgotten(serve) -> None:
    async def body(client) -> None:
        opened = await post(client, "/sessions", model="english", text="The old")
        path = f"/sessions/{opened['session']}"
        await post(client, f"{path}/append", text=" cat s")
        grown = await post(client, f"{path}/append", text="at")
        assert grown["num_tokens"] == 3
        found = await post(client, f"{path}/next", top_k=5)
        plain = await post(client, "/next", prefix="The old cat sat", model="english", top_k=5)
        assert found["predictions"] == plain["results"][0]["predictions"]
        assert (await client.delete(path)).status_code == 204
        gone = await client.post(f"{path}/next", json={})
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "session_not_found")

    serve(body)


def test_hypotheses_are_ordered_by_both_scores_and_the_parts_add_up(serve) -> None:
    async def body(client) -> None:
        asked = {
            "model": "english",
            "context": "The old cat",
            "hypotheses": [{"text": "sat.", "score": -3.0}, {"text": "saw zebra", "score": -2.5}],
            "weight": 0.7,
            "eos": True,
        }
        found = (await post(client, "/rescore", **asked))["hypotheses"]
        whole = await post(
            client,
            "/score",
            model="english",
            text="The old cat sat.",
            per_token=True,
            count_end=True,
        )
        sat = next(each for each in found if each["text"] == "sat.")
        tail = whole["results"][0]["tokens"][3:]
        assert sat["log_likelihood"] == pytest.approx(sum(t["logprob"] for t in tail), abs=1e-5)
        assert (sat["num_tokens"], sat["num_unknown"]) == (3, 0)
        for each in found:
            assert each["total"] == pytest.approx(each["given"] + 0.7 * each["log_likelihood"])
        assert found == sorted(found, key=lambda each: -each["total"])
        mean = (await post(client, "/rescore", **asked, length_normalize=True))["hypotheses"]
        for each in mean:
            part = each["log_likelihood"] / each["num_tokens"]
            assert each["total"] == pytest.approx(each["given"] + 0.7 * part)

    serve(body)


def test_only_allowed_tokens_are_written_and_biases_count(serve) -> None:
    async def body(client) -> None:
        asked = {
            "model": "english",
            "prompt": "The",
            "max_tokens": 40,
            "ignore_eos": True,
            "seed": 1,
        }
        answer = await post(client, "/generate", allowed=[" cat", " mat"], **asked)
        assert set(answer["choices"][0]["text"].split()) == {"cat", "mat"}
        answer = await post(client, "/generate", logit_bias={" cat": 500}, **asked)
        assert set(answer["choices"][0]["text"].split()) == {"cat"}
        for field, value in (("allowed", [" zebra"]), ("logit_bias", {"cat sat": 1})):
            response = await client.post("/generate", json={**asked, field: value})
            assert response.status_code == 400
            assert response.json()["error"]["param"] == field

    serve(body)


def test_the_best_of_several_are_the_likeliest_of_them(serve) -> None:
    async def body(client) -> None:
        asked = {"model": "english", "prompt": "The", "max_tokens": 8, "seed": 3, "logprobs": 0}
        every = (await post(client, "/generate", n=6, **asked))["choices"]
        best = (await post(client, "/generate", n=2, best_of=6, **asked))["choices"]

        def mean(choice) -> float:
            logprobs = [entry["logprob"] for entry in choice["logprobs"]]
            return sum(logprobs) / len(logprobs)

        expected = sorted(every, key=mean, reverse=True)[:2]
        assert [c["text"] for c in best] == [c["text"] for c in expected]
        assert [c["index"] for c in best] == [0, 1]

    serve(body)
