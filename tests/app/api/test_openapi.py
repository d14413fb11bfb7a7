"""The description that clients are generated from: it changes on purpose, or not at all."""

import json
from pathlib import Path

from refrain.models.native.step.sampling import PARAMETERS

KEPT = Path(__file__).with_name("openapi.json")
"""`/openapi.json` as it was kept last, by `python -m json.tool --sort-keys --indent 1 --no-ensure-ascii`."""
NEW = ("typical_p",)
"""Sampling parameters that came since."""


def test_the_description_is_the_kept_one_but_for_new_parameters(serve) -> None:
    async def body(client) -> None:
        found = (await client.get("/openapi.json")).json()
        for schema in ("GenerateBody", "CompletionBody"):
            properties = found["components"]["schemas"][schema]["properties"]
            for name in NEW:
                described = properties.pop(name)
                assert described["default"] == PARAMETERS[name].default
        assert found == json.loads(KEPT.read_text("utf-8"))

    serve(body)


def test_every_sampling_parameter_is_described_with_its_bounds_on_both_routes(serve) -> None:
    words = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}

    async def body(client) -> None:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        for name, parameter in PARAMETERS.items():
            native = schemas["GenerateBody"]["properties"][name]
            assert native["description"] == parameter.description
            assert native["default"] == parameter.default
            bounds = {words[key]: bound for key, bound in parameter.bounds.items()}
            assert {key: native[key] for key in bounds} == bounds
            assert name in schemas["CompletionBody"]["properties"]

    serve(body)
