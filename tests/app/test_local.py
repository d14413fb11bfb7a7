"""The in-process model answers as the service does."""

import pytest

from app.engine.beam_search import BeamParams
from app.local import LocalClassifier, LocalModel, questions
from app.local.writing import WritingOptions
from app.services.errors import InvalidParameterError
from models.native.sequence import SamplingParams

REVIEWS = [f"The old cat {'sat ' * n}on a lovely mat, and the dog saw it." for n in range(40)]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_answers_are_those_of_the_service(checkpoints, serve, precision) -> None:
    local = LocalModel(checkpoints / "english", precision=precision)
    params = SamplingParams(seed=5, max_tokens=9, ignore_eos=True, logit_bias=((0, -1e9),))

    async def body(client) -> None:
        asked = {"prompt": "The cat", "seed": 5, "max_tokens": 9, "ignore_eos": True}
        written = (await client.post("/generate", json=asked)).json()["choices"][0]["text"]
        assert local.generate("The cat", params) == written
        scored = (await client.post("/score", json={"text": "The cat sat."})).json()["results"][0]
        assert local.score("The cat sat.").log_likelihood == scored["log_likelihood"]
        asked = {"prefix": "The old", "top_k": 4, "candidates": ["cat", "cat sat", "zebra", "!"]}
        (found,) = (await client.post("/next", json=asked)).json()["results"]
        predictions = [(p.token, p.logprob) for p in local.next("The old", top_k=4)]
        assert predictions == [(p["token"], p["logprob"]) for p in found["predictions"]]
        candidates = local.next("The old", candidates=asked["candidates"])
        assert [c.logprob for c in candidates] == [c["logprob"] for c in found["candidates"]]
        assert [c.is_unknown for c in candidates] == [
            c.get("unknown", False) for c in found["candidates"]
        ]
        assert candidates[2].is_unknown

    serve(body, precision=precision)


def test_a_session_in_pieces_and_its_fork_are_the_whole_text(checkpoints) -> None:
    local = LocalModel(checkpoints / "english")
    session = local.session("The o")
    for piece in ("ld c", "at", " sat"):
        session.append(piece)
    assert session.next(top_k=5) == local.next("The old cat sat", top_k=5)
    fork = session.fork()
    fork.append(" on the")
    assert fork.next() == local.next("The old cat sat on the")
    assert session.next() == local.next("The old cat sat")
    assert session.next(starts_with="o") == local.next("The old cat sat", starts_with="o")
    assert local.score("").num_tokens == 0


def test_a_checkpoint_of_the_other_kind_is_refused(checkpoints) -> None:
    with pytest.raises(InvalidParameterError, match="is a classifier"):
        LocalModel(checkpoints / "sentiment-en")
    with pytest.raises(InvalidParameterError, match="no classifier"):
        LocalClassifier(checkpoints / "english")


def test_a_model_in_process_answers_as_the_service_does(checkpoints, serve) -> None:
    model = LocalModel(checkpoints / "english")

    async def body(client) -> None:
        for prefix in ("The cat ", "The cat\n", "The  cat", ""):
            asked = {"prefix": prefix, "model": "english", "top_k": 5}
            found = (await client.post("/next", json=asked)).json()["results"][0]["predictions"]
            assert [each.token for each in model.next(prefix, top_k=5)] == [
                p["token"] for p in found
            ]
            asked = {"prompt": prefix, "model": "english", "seed": 4, "max_tokens": 30}
            (choice,) = (await client.post("/generate", json=asked)).json()["choices"]
            written = model.generate(prefix, SamplingParams(seed=4, max_tokens=30))
            assert written == choice["text"]
            assert "<unk>" not in written

    serve(body)


def test_a_classifier_in_process_answers_a_list_as_the_service_does(checkpoints, serve) -> None:
    model = LocalClassifier(checkpoints / "sentiment-en")

    async def body(client) -> None:
        found = (await client.post("/sentiment", json={"text": REVIEWS})).json()["results"]
        assert [vars(each) for each in model.classify_all(REVIEWS)] == found
        assert vars(model.classify(REVIEWS[0]))["label"] == found[0]["label"]

    serve(body)


def test_a_text_of_many_strides_scores_as_in_one(checkpoints, monkeypatch) -> None:
    model = LocalModel(checkpoints / "english")
    text = "The old cat sat on the mat. " * 40
    (whole,) = model.score_all([text], count_end=True)
    tokens = model.score(text).tokens
    monkeypatch.setattr(questions, "STRIDE", 7)
    monkeypatch.setattr(questions, "BLOCK", 50)
    assert list(model.score_all([text], count_end=True)) == [whole]
    assert model.score(text).tokens == tokens


def test_a_stop_string_ends_a_text_and_is_no_part_of_it(checkpoints) -> None:
    model = LocalModel(checkpoints / "english")
    params = SamplingParams(seed=1, max_tokens=200, ignore_eos=True)
    whole = model.generate("The", params)
    stop = whole[20:23]
    heard: list[str] = []
    options = WritingOptions(params, stops=[stop], on_text=heard.append)
    (writing,) = model.generate_all(["The"], options)
    assert writing.choices[0].text == "".join(heard) == whole[: whole.index(stop)]
    assert writing.choices[0].finish_reason == "stop"
    assert writing.num_written < 200


def test_a_search_that_cannot_find_what_is_wanted_is_refused(checkpoints) -> None:
    model = LocalModel(checkpoints / "english")
    options = WritingOptions(SamplingParams(), n=3, beams=BeamParams(2))
    with pytest.raises(InvalidParameterError, match="less than n 3"):
        list(model.generate_all(["The"], options))
