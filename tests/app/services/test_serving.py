"""What every service stands on: the model, the state, the limits, and the thread."""

import asyncio
import threading
from dataclasses import replace

import pytest

from refrain.app.services.errors import StaleStateError
from refrain.app.services.generation import GenerationRequest, start_generation
from refrain.app.services.next_token import predict
from refrain.app.services.registry import Registry
from refrain.app.services.rescoring import order
from refrain.app.services.score_stream import ScoreStreamParams, open_stream
from refrain.app.services.scoring import score
from refrain.app.services.serving import LONG_TEXT, map_texts
from refrain.app.services.sessions import SessionService
from refrain.inference.engine.config import EngineConfig
from refrain.inference.errors import UnknownModelError
from refrain.inference.loading import load_engine
from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import Hypothesis, RescoringParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.models.checkpoint import load_checkpoint
from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.text.tokenizer import Tokenizer
from tests.support.checkpoints import with_two_ids_swapped
from tests.support.serving import asked, serve
from tests.support.states import stale_states


async def words():
    yield " on"


SERVICES = [
    lambda serving, who: start_generation(
        serving, who, GenerationRequest([" on"], GenerationParams())
    ),
    lambda serving, who: score(serving, who, [" on"]),
    lambda serving, who: predict(serving, who, [" on"], NextQuery()),
    lambda serving, who: order(serving, who, "", [Hypothesis("on")], RescoringParams()),
    lambda serving, who: open_stream(serving, who, words(), ScoreStreamParams()),
    lambda serving, who: SessionService(serving).open(who, " on", adaptive=False),
]
"""All services that go on from a state."""


def test_a_state_names_its_model_where_the_request_names_none(checkpoints) -> None:
    async def body(serving) -> None:
        params = ScoreParams(return_state=True)
        loaded, (found,) = await score(serving, asked("bytes"), ["The"], params)
        token = serving.with_state({}, loaded, found.state)["state"]
        again, state = serving.find(asked(state=token), "春眠")
        assert again is loaded
        assert state == found.state
        with pytest.raises(StaleStateError):
            serving.find(asked("tang", token), "")
        assert serving.with_state({"a": 1}, loaded, None) == {"a": 1}

    serve(checkpoints, body, ("english", "bytes", "tang"))


def test_texts_that_are_written_go_on_while_states_that_fit_no_slot_are_refused(
    checkpoints,
) -> None:
    params = GenerationParams(SamplingParams(max_tokens=400, ignore_eos=True))
    written = GenerationRequest(["The cat"], params, seed=7)
    streamed = written._replace(params=replace(params, stream=True))

    async def body(serving) -> None:
        _, (found,) = await predict(
            serving, asked("english"), ["The"], NextQuery(return_state=True)
        )
        token = serving.states.encode(serving.registry.models["english"].model, found.state)
        whole = await (await start_generation(serving, asked("english"), written)).answer()
        started = await start_generation(serving, asked("english"), streamed)
        deltas = started.deltas()
        pieces = [await anext(deltas)]
        for stale in stale_states(token).values():
            for service in SERVICES:
                with pytest.raises(StaleStateError):
                    await service(serving, asked(state=stale))
        pieces += [delta async for delta in deltas]
        assert "".join(delta.text for delta in pieces) == whole.choices[0].text
        assert pieces[-1].finish_reason == "length"

    serve(checkpoints, body, ("english",))


def test_a_state_of_the_same_weights_under_another_tokenizer_is_stale(checkpoints) -> None:
    held = load_checkpoint(checkpoints / "english")
    other = with_two_ids_swapped(held.tokenizer)

    async def body(serving) -> None:
        wanted = ScoreParams(return_state=True)
        loaded, (found,) = await score(serving, asked("english"), ["The old cat"], wanted)
        token = serving.states.encode(loaded.model, found.state)
        again, _ = load_engine(replace(held, tokenizer=other), EngineConfig(), "auto")
        assert again.shape == loaded.model.shape
        with pytest.raises(StaleStateError, match="another version or precision of english"):
            serving.states.decode(token).open(again)
        same, _ = load_engine(held, EngineConfig(), "auto")
        assert serving.states.decode(token).open(same) == found.state

    serve(checkpoints, body, ("english",))


def test_a_state_of_a_model_that_is_not_served_is_one_of_an_unknown_model(checkpoints) -> None:
    async def body(serving) -> None:
        loaded, (found,) = await score(
            serving, asked("bytes"), ["The"], ScoreParams(return_state=True)
        )
        token = serving.states.encode(loaded.model, found.state)
        less = replace(serving, registry=Registry([serving.registry.models["english"]], []))
        with pytest.raises(UnknownModelError, match="no model named 'bytes'"):
            less.find(asked(state=token), "The")

    serve(checkpoints, body, ("english", "bytes"))


def test_more_texts_than_a_request_may_have_are_refused(checkpoints) -> None:
    async def body(serving) -> None:
        serving.require_few(3, "texts", "text")
        with pytest.raises(InvalidParameterError, match="at most 3 texts") as refused:
            serving.require_few(4, "texts", "text")
        assert refused.value.param == "text"

    serve(checkpoints, body, ("english",), max_texts=3)


def test_long_texts_are_tokenized_by_another_thread_and_short_ones_here(checkpoints) -> None:
    def work(_: Tokenizer, text: str, *, param: str) -> tuple[int, int, str]:
        return threading.get_ident(), len(text), param

    tokenizer = load_checkpoint(checkpoints / "english").tokenizer
    texts = ["a" * LONG_TEXT, "a" * (LONG_TEXT + 1)]
    short, long = asyncio.run(map_texts(work, tokenizer, texts, param="text"))
    assert short == (threading.get_ident(), LONG_TEXT, "text")
    assert long[0] != threading.get_ident()
    assert long[1:] == (LONG_TEXT + 1, "text")
