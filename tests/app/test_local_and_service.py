"""What is asked in process is answered as the service answers it."""

import pytest

from refrain.inference.local import LocalClassifier, LocalModel, WordScorer
from refrain.inference.operations.generation import GenerationParams, generate
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.prompt import read_prompt
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.native.step.sampling import SamplingParams

REVIEWS = [f"The old cat {'sat ' * n}on a lovely mat, and the dog saw it." for n in range(40)]
QUERY = NextQuery(top_k=4, candidates=["cat", "cat sat", "zebra", "!"])


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_answers_are_those_of_the_service(checkpoints, serve, precision) -> None:
    local = LocalModel(checkpoints / "english", precision=precision)
    params = SamplingParams(seed=5, max_tokens=9, ignore_eos=True)

    async def body(client) -> None:
        asked = {"prompt": "The cat", "model": "english", "seed": 5}
        asked |= GenerationParams(params).as_json()
        written = (await client.post("/generate", json=asked)).json()["choices"][0]["text"]
        assert local.generate("The cat", params) == written
        asked = {"text": "The cat sat.", "model": "english"}
        scored = (await client.post("/score", json=asked)).json()["results"][0]
        assert local.score("The cat sat.").log_likelihood == scored["log_likelihood"]
        asked = {"prefix": "The old", "model": "english"} | QUERY.as_json()
        (found,) = (await client.post("/next", json=asked)).json()["results"]
        answer = local.next("The old", QUERY)
        predictions = [(p.token, p.logprob) for p in answer.predictions]
        assert predictions == [(p["token"], p["logprob"]) for p in found["predictions"]]
        assert answer.entropy == found["entropy"]
        assert [c.logprob for c in answer.candidates] == [c["logprob"] for c in found["candidates"]]
        assert [c.unknown for c in answer.candidates] == [
            c.get("unknown", False) for c in found["candidates"]
        ]
        assert answer.candidates[2].unknown

    serve(body, precision=precision)


def test_a_model_in_process_answers_as_the_service_does(checkpoints, serve) -> None:
    model = LocalModel(checkpoints / "english")
    params = SamplingParams(seed=4, max_tokens=30)

    async def body(client) -> None:
        for prefix in ("The cat ", "The cat\n", "The  cat", ""):
            asked = {"prefix": prefix, "model": "english", "top_k": 5}
            found = (await client.post("/next", json=asked)).json()["results"][0]["predictions"]
            answer = model.next(prefix, NextQuery(top_k=5))
            assert [each.token for each in answer.predictions] == [p["token"] for p in found]
            asked = {"prompt": prefix, "model": "english", "seed": 4, "max_tokens": 30}
            (choice,) = (await client.post("/generate", json=asked)).json()["choices"]
            written = model.generate(prefix, params)
            assert written == choice["text"]
            assert "<unk>" not in written

    serve(body)


@pytest.mark.parametrize(
    "params",
    [
        GenerationParams(SamplingParams(max_tokens=9), n=2, best_of=4, logprobs=2),
        GenerationParams(SamplingParams(max_tokens=9, typical_p=0.4), n=2),
        GenerationParams(
            SamplingParams(max_tokens=9), logit_bias={" cat": 2.0}, allowed=[" cat", " sat"]
        ),
        GenerationParams(SamplingParams(max_tokens=30, ignore_eos=True), stop=["t o", "cat"]),
        GenerationParams(SamplingParams(max_tokens=6), n=2, num_beams=4, logprobs=1),
    ],
    ids=["best_of", "typical_p", "constrained", "stop", "beams"],
)
def test_the_parameters_of_a_text_mean_in_process_what_they_mean_to_the_service(
    checkpoints, serve, params
) -> None:
    local = LocalModel(checkpoints / "english")
    texts = ["The old", "A", ""]

    async def body(client) -> None:
        asked = params.as_json() | {"prompt": texts, "model": "english", "seed": 6}
        answer = (await client.post("/generate", json=asked)).json()
        prompts = [read_prompt(local.tokenizer, text) for text in texts]
        found = local.driver.run(generate(local.model, prompts, params, 6))
        assert found.as_json() | {"model": "english"} == answer

    serve(body)


def test_hypotheses_are_ordered_in_process_as_by_the_service(checkpoints, serve) -> None:
    model = LocalModel(checkpoints / "english")
    hypotheses = [Hypothesis("cat sat", -0.5), Hypothesis("zebra"), Hypothesis("mat", -3.0)]
    params = RescoringParams(weight=0.5, length_normalize=True, eos=True)

    async def body(client) -> None:
        asked = params.as_json() | {
            "context": "The old",
            "hypotheses": [each.as_json() for each in hypotheses],
            "model": "english",
        }
        answer = (await client.post("/rescore", json=asked)).json()
        found = model.rescore(hypotheses, params, context="The old")
        assert [each.as_json() for each in found] == answer["hypotheses"]

    serve(body)


def test_vectors_are_in_process_those_of_the_service(checkpoints, serve) -> None:
    model = LocalModel(checkpoints / "english", precision="int8")

    async def body(client) -> None:
        asked = {"text": REVIEWS[:5], "model": "english", "pooling": "last"}
        answer = (await client.post("/embed", json=asked)).json()
        found = [each.tolist() for each in model.embed_all(REVIEWS[:5], "last")]
        assert found == [each["embedding"] for each in answer["results"]]

    serve(body, precision="int8")


def test_a_classifier_in_process_answers_a_list_as_the_service_does(checkpoints, serve) -> None:
    model = LocalClassifier(checkpoints / "sentiment-en")

    async def body(client) -> None:
        found = (await client.post("/sentiment", json={"text": REVIEWS})).json()["results"]
        assert [each.as_json() for each in model.classify_all(REVIEWS)] == found
        assert model.classify(REVIEWS[0]).label == found[0]["label"]

    serve(body)


@pytest.mark.parametrize("name", ["english", "bytes", "tang", "counts"])
def test_the_scores_of_a_decoders_words_add_up_to_that_of_the_route(
    checkpoints, serve, name
) -> None:
    words = [*"春眠不觉晓，处处闻啼鸟。"] if name == "tang" else ["The", "cat", "didn't", "zebra"]
    text = ("" if name == "tang" else " ").join(words)
    model = LocalModel(checkpoints / name)

    async def body(client) -> None:
        for count_end in (True, False):
            asked = ScoreParams(count_end=count_end).as_json() | {"text": text, "model": name}
            (expected,) = (await client.post("/score", json=asked)).json()["results"]
            scorer = WordScorer(
                model, alpha=1.0, beta=0.0, unk_score_offset=0.0, score_boundary=count_end
            )
            state, total = scorer.get_start_state(), 0.0
            for place, word in enumerate(words, 1):
                score, state = scorer.score(state, word, is_last_word=place == len(words))
                total += score
            assert total == pytest.approx(expected["log_likelihood"], rel=1e-6)

    serve(body)
