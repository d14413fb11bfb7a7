"""The limits of an engine: each holds, and none changes while an engine runs."""

import dataclasses
import re

import pytest

from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.request import Request
from refrain.models.native.step.sampling import SamplingParams
from refrain.models.native.step.structures import Purpose
from tests.support.engines import add, engine_of, recurrent

ENDLESS = Request(Purpose.GENERATE, [3], sampling=SamplingParams(max_tokens=1_000, ignore_eos=True))


def test_a_limit_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EngineConfig().max_slots = 3


def test_every_limit_is_explained() -> None:
    headings = re.findall(r"^ {4}(\w[\w, ]*)$", str(EngineConfig.__doc__), re.MULTILINE)
    explained = {name for heading in headings for name in heading.split(", ")}
    assert {field.name for field in dataclasses.fields(EngineConfig)} <= explained


@pytest.mark.parametrize("max_slots", [1, 3])
def test_no_more_texts_run_together_than_there_are_slots(max_slots) -> None:
    engine = engine_of(recurrent(num_layers=1), config=EngineConfig(max_slots=max_slots))
    add(engine, [ENDLESS] * 5)
    engine.admit()
    engine.step()
    assert len(engine.scheduler.running) == engine.num_slots == max_slots
    assert engine.scheduler.num_waiting == 5 - max_slots


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("max_steps", [1, 7])
def test_no_more_steps_follow_one_another_than_the_limit(precision, max_steps) -> None:
    config = EngineConfig(max_slots=2, max_steps=max_steps, row_tile=2)
    engine = engine_of(recurrent(num_layers=1), precision, config)
    (sequence,) = add(engine, [ENDLESS])
    engine.admit()
    for num_calls in (1, 2):
        engine.step()
        assert sequence.native.struct.num_read == num_calls * max_steps
