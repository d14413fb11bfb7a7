"""States over HTTP: what does not belong to the model as it is served now is a 412 on every route, and nothing else."""

import json
from pathlib import Path

import httpx
import pytest

from refrain.app.settings import Settings
from refrain.models.checkpoint import load_checkpoint, save_checkpoint
from tests.support.checkpoints import with_two_ids_swapped
from tests.support.service import Applications, listening
from tests.support.states import SECRET, STALE, stale_states

ROUTES = {
    "/generate": {"prompt": " on"},
    "/score": {"text": " on"},
    "/next": {"prefix": " on"},
    "/rescore": {"hypotheses": [{"text": "on"}]},
    "/sessions": {"text": " on"},
}
"""Routes that take a state, with something to ask."""


async def state_of(client) -> str:
    asked = {"prefix": "The old cat sat", "model": "english", "return_state": True}
    answer = await client.post("/next", json=asked)
    return answer.json()["results"][0]["state"]


async def require_stale(client, state: str) -> None:
    for route, asked in ROUTES.items():
        response = await client.post(route, json={**asked, "state": state})
        assert response.status_code == 412, (route, response.text)
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("stale_state", "state")
        assert error["message"].endswith("send the text instead")


@pytest.mark.parametrize("kind", STALE)
def test_a_signed_state_that_fits_no_slot_is_refused_on_every_route(serve, kind) -> None:
    async def body(client) -> None:
        state = await state_of(client)
        await require_stale(client, stale_states(state)[kind])
        assert (await client.get("/health/ready")).status_code == 200
        for route, asked in ROUTES.items():
            response = await client.post(route, json={**asked, "state": state})
            assert response.status_code == 200, (route, response.text)

    serve(body, state_secret=SECRET)


STREAMS = {
    "/generate": {"prompt": " on", "stream": True},
    "/score": {"text": " on", "stride": 10},
}


@pytest.mark.parametrize("route", STREAMS)
def test_a_stream_from_such_a_state_is_refused_before_it_starts(serve, route) -> None:
    async def body(client) -> None:
        for state in stale_states(await state_of(client)).values():
            response = await client.post(route, json={**STREAMS[route], "state": state})
            assert response.status_code == 412
            assert response.headers["content-type"] == "application/json"

    serve(body, state_secret=SECRET)


def test_a_stream_goes_on_while_such_states_are_refused(checkpoints) -> None:
    asked = {"prompt": "The", "model": "english", "max_tokens": 10**8, "ignore_eos": True}
    settings = Settings(models=checkpoints, state_secret=SECRET, max_tokens=10**9)
    with (
        listening(settings) as service,
        httpx.Client(base_url=service.address, timeout=20) as client,
    ):
        wanted = {"prefix": "The old", "model": "english", "return_state": True}
        state = client.post("/next", json=wanted).json()["results"][0]["state"]
        with client.stream("POST", "/generate", json={**asked, "stream": True}) as stream:
            events = (json.loads(line[6:]) for line in stream.iter_lines() if line)
            assert next(events)["finish_reason"] is None
            for stale in stale_states(state).values():
                for route, body in ROUTES.items():
                    refused = client.post(route, json={**body, "state": stale})
                    assert refused.status_code == 412
            driver = service.registry.models["english"].driver
            assert driver.is_alive
            assert driver.load.num_running == 1
            assert all(next(events)["finish_reason"] is None for _ in range(100))


def take_elsewhere(serve, folder: Path, take, **settings: object) -> None:
    """Run a coroutine with a client of the models of another folder, and a state of "english" of this one."""
    states: list[str] = []

    async def give(client) -> None:
        states.append(await state_of(client))

    async def body(client) -> None:
        await take(client, states[0])

    serve(give, state_secret=SECRET)
    others = Applications(folder)
    try:
        others.ask(body, state_secret=SECRET, **settings)
    finally:
        others.close()


def test_a_state_of_another_precision_is_refused(serve, checkpoints) -> None:
    take_elsewhere(serve, checkpoints, require_stale, precision="fp32")


def test_a_state_of_the_same_weights_under_another_tokenizer_is_refused(
    serve, checkpoints, tmp_path
) -> None:
    held = load_checkpoint(checkpoints / "english")
    other = with_two_ids_swapped(held.tokenizer)
    save_checkpoint(tmp_path / "english", held.model, other, held.card)
    take_elsewhere(serve, tmp_path, require_stale)


def test_a_state_of_a_model_that_is_not_served_names_no_other_one(
    serve, checkpoints, tmp_path
) -> None:
    async def take(client, state: str) -> None:
        response = await client.post("/next", json={"prefix": "春", "state": state})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")

    (tmp_path / "tang").symlink_to(checkpoints / "tang")
    take_elsewhere(serve, tmp_path, take)
