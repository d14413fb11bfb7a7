"""The clients have a method for every public route, with the very fields that it takes and answers."""

import dataclasses
import inspect
from typing import get_args, get_type_hints

import pytest

from refrain.app.main import create_app
from refrain.app.settings import Settings
from refrain.client import AsyncClient, AsyncSession, Client, Session
from refrain.client.contract.answers.generation import Piece
from refrain.client.contract.answers.scoring import Block
from refrain.client.contract.routes import ROUTES
from tests.app.api.routes.test_score_stream import ENGLISH

OF_OTHERS = ("/v1", "/tokenize", "/detokenize", "/tokenizer_info", "/metrics")
"""Routes that other clients are made for: OpenAI's, and Prometheus."""
TYPES = {"Client": (Client, AsyncClient), "Session": (Session, AsyncSession)}


@pytest.fixture(scope="module")
def description(checkpoints) -> dict:
    return create_app(Settings(models=checkpoints)).openapi()


def public_operations(description: dict) -> dict[tuple[str, str], dict]:
    return {
        (method.upper(), path): operation
        for path, operations in description["paths"].items()
        if not path.startswith(OF_OTHERS)
        for method, operation in operations.items()
    }


def owners(route) -> tuple[type, type]:
    is_session = "{session}" in route.path
    return TYPES["Session" if is_session else "Client"]


def parameters_of(function) -> set[str]:
    """Return the names that a method takes, those of its options among them."""
    names = set()
    hints = get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (options,) = get_args(hints[name])
            names |= get_type_hints(options).keys()
        elif name != "self":
            names.add(name)
    return names


def resolved(description: dict, schema: dict) -> dict:
    reference = schema.get("$ref")
    return (
        description["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    )


def fields_of(description: dict, operation: dict) -> set[str]:
    """Return what a route takes in its address and its body; a body of plain text is called `text`."""
    names = {p["name"] for p in operation.get("parameters", ()) if p["name"] != "session"}
    content = operation.get("requestBody", {}).get("content", {})
    if "text/plain" in content:
        return names | {"text"}
    for kind in content.values():
        names |= resolved(description, kind["schema"])["properties"].keys()
    return names


def test_every_public_route_has_a_method_and_every_method_a_route(description) -> None:
    assert {(route.method, route.path) for route in ROUTES} == public_operations(description).keys()


@pytest.mark.parametrize("side", [0, 1], ids=["sync", "async"])
def test_the_parameters_of_the_methods_are_the_fields_of_the_routes(description, side) -> None:
    taken: dict[tuple[str, str], set[str]] = {}
    for route in ROUTES:
        method = getattr(owners(route)[side], route.name)
        names = parameters_of(method) - ({"check"} if route.name == "health" else set())
        assert not names & route.fixed.keys(), route.name
        taken.setdefault((route.method, route.path), set()).update(names, route.fixed)
    for key, operation in public_operations(description).items():
        assert taken[key] == fields_of(description, operation), key


def test_both_clients_have_the_same_methods_with_the_same_signatures() -> None:
    for one, other in TYPES.values():
        for name, function in inspect.getmembers(one, inspect.isfunction):
            if name.startswith("_") or name in ("close", "open"):
                continue
            assert parameters_of(function) == parameters_of(getattr(other, name)), name


def answer_schema(description: dict, operation: dict) -> dict | None:
    (good,) = [answer for status, answer in operation["responses"].items() if status < "300"]
    schema = good.get("content", {}).get("application/json", {}).get("schema", {})
    found = resolved(description, schema)
    return found if "properties" in found else None


def check_fields(description: dict, kind: type, schema: dict) -> int:
    """Compare a dataclass with what a route answers, and what both are made of; return how many were compared."""
    names = {each.name for each in dataclasses.fields(kind)}
    assert names == schema["properties"].keys(), kind
    compared = 1
    hints = get_type_hints(kind)
    for name, inner in schema["properties"].items():
        for option in (inner, *inner.get("anyOf", ())):
            for part in (option, option.get("items", {})):
                if "$ref" in part:
                    found = dataclass_in(hints[name])
                    compared += check_fields(description, found, resolved(description, part))
    return compared


def dataclass_in(hint) -> type:
    if dataclasses.is_dataclass(hint):
        return hint
    return next(filter(None, map(dataclass_in, get_args(hint))), None)


def test_answers_have_the_fields_of_the_contract(description) -> None:
    operations = public_operations(description)
    compared = 0
    for route in ROUTES:
        schema = answer_schema(description, operations[route.method, route.path])
        if schema and route.answer not in (Piece, Block):
            compared += check_fields(description, route.answer, schema)
    assert compared >= 20


def test_a_piece_and_a_block_have_the_fields_that_streams_report(serve) -> None:
    async def body(http) -> None:
        async with AsyncClient("http://test", http_client=http) as client:
            asked = {"max_tokens": 3, "ignore_eos": True, "model": "english"}
            asked |= {"return_state": True, "logprobs": 1}
            pieces = [piece async for piece in client.stream("The", **asked)]
            assert {p.name for p in dataclasses.fields(pieces[0])} == {
                "index",
                "text",
                "finish_reason",
                "logprobs",
                "state",
            }
            assert pieces[-1].state
            assert sum(len(piece.logprobs or ()) for piece in pieces) == 3
            asked = {"stride": 5, "return_state": True, "model": "english"}
            *_, last = [block async for block in client.score_stream(ENGLISH, **asked)]
            assert last.state

    serve(body)
