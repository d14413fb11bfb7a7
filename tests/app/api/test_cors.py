"""Pages of other origins may ask from a browser where the settings admit them, and nowhere else."""

import pytest
from starlette.testclient import TestClient

from refrain.app.main import create_app
from refrain.app.settings import Settings

ORIGIN = "https://example.org"
ASKS = {"origin": ORIGIN, "access-control-request-method": "POST"}
ASKS |= {"access-control-request-headers": "content-type"}


async def answers(client, origin: str = ORIGIN):
    asked = await client.options("/next", headers=ASKS | {"origin": origin})
    answered = await client.post("/next", json={"prefix": "The"}, headers={"origin": origin})
    refused = await client.post("/next", json={"prefix": 1}, headers={"origin": origin})
    assert (answered.status_code, refused.status_code) == (200, 400)
    return asked, answered, refused


@pytest.mark.parametrize("origins", [ORIGIN, f"https://other.org, {ORIGIN}", "*"])
def test_an_origin_that_is_named_may_ask_and_read_every_answer(serve, origins) -> None:
    async def body(client) -> None:
        for answer in await answers(client):
            assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")
        stream = await client.post(
            "/generate", json={"prompt": "The", "stream": True}, headers={"origin": ORIGIN}
        )
        assert stream.headers["access-control-allow-origin"] in (ORIGIN, "*")
        assert stream.text.endswith("data: [DONE]\n\n")

    serve(body, cors_origins=origins)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_every_method_that_a_route_takes_may_be_asked_for(serve, method) -> None:
    async def body(client) -> None:
        headers = ASKS | {"access-control-request-method": method}
        answer = await client.options("/score/stream", headers=headers)
        assert answer.status_code == 200

    serve(body, cors_origins=f"{ORIGIN}/")


@pytest.mark.parametrize("origins", [ORIGIN, "*"])
def test_an_unforeseen_fault_is_reported_too(checkpoints, origins) -> None:
    app = create_app(Settings(models=checkpoints, cors_origins=origins))

    @app.get("/break")
    def fail() -> None:
        raise ZeroDivisionError

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/break", headers={"origin": ORIGIN})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == origins


@pytest.mark.parametrize("origins", ["", "https://other.org"])
def test_any_other_origin_gets_nothing_through_its_browser(serve, origins) -> None:
    async def body(client) -> None:
        for answer in await answers(client):
            assert "access-control-allow-origin" not in answer.headers

    serve(body, cors_origins=origins)
