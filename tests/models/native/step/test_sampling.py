"""How tokens are chosen, as callers say it: defaults, bounds, and a fault that names its parameter."""

import dataclasses
import math

import pytest

from refrain.models.errors import InvalidParameterError
from refrain.models.native.step.sampling import GREEDY, PARAMETERS, SamplingParams, check_number
from refrain.models.native.step.structures import SequenceStruct

AT_THE_BOUNDS = [
    ("max_tokens", 0),
    ("temperature", 0),
    ("temperature", 100),
    ("top_k", 0),
    ("top_k", 1_000_000),
    ("top_p", 1e-30),
    ("top_p", 1),
    ("min_p", 0),
    ("min_p", 1),
    ("typical_p", 1e-30),
    ("typical_p", 1),
    ("repetition_penalty", 0.01),
    ("repetition_penalty", 100),
    ("frequency_penalty", -100),
    ("presence_penalty", 100),
]
BEYOND_THEM = [
    ("max_tokens", -1, "at least 0"),
    ("temperature", -0.1, "at least 0 and at most 100"),
    ("temperature", 100.1, "at least 0 and at most 100"),
    ("top_k", -1, "at least 0"),
    ("top_k", 1_000_001, "at most 1,000,000"),
    ("top_p", 0, "above 0 and at most 1"),
    ("top_p", 1.01, "above 0 and at most 1"),
    ("min_p", -0.01, "at least 0 and at most 1"),
    ("min_p", 1.01, "at least 0 and at most 1"),
    ("typical_p", 0, "above 0 and at most 1"),
    ("typical_p", 1.01, "above 0 and at most 1"),
    ("repetition_penalty", 0, "at least 0.01 and at most 100"),
    ("frequency_penalty", -101, "at least -100 and at most 100"),
    ("presence_penalty", 101, "at least -100 and at most 100"),
    ("temperature", math.nan, "at least 0"),
    ("top_p", math.nan, "above 0"),
    ("presence_penalty", math.inf, "at most 100"),
]


@pytest.mark.parametrize(("name", "value"), AT_THE_BOUNDS)
def test_a_value_at_a_bound_is_taken(name, value) -> None:
    assert getattr(SamplingParams(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value", "said"), BEYOND_THEM)
def test_a_value_out_of_bounds_is_refused_by_name(name, value, said) -> None:
    with pytest.raises(InvalidParameterError, match=f"{name} must be .*{said}") as caught:
        SamplingParams(**{name: value})
    assert caught.value.param == name


def test_a_value_out_of_bounds_is_refused_in_a_copy_too() -> None:
    with pytest.raises(InvalidParameterError, match="top_p"):
        dataclasses.replace(GREEDY, top_p=2.0)


def test_every_default_keeps_to_its_own_bounds_and_says_what_it_does() -> None:
    for parameter in PARAMETERS.values():
        check_number(parameter.name, parameter.default, parameter.bounds)
        assert isinstance(parameter.default, parameter.kind)
        assert parameter.description.endswith(".")


def test_the_table_holds_whatever_is_a_number_or_a_switch() -> None:
    others = {"seed", "logit_bias", "allowed"}
    names = [field.name for field in dataclasses.fields(SamplingParams)]
    assert [name for name in names if name not in others] == list(PARAMETERS)
    assert {each.kind for each in PARAMETERS.values()} == {int, float, bool}


def test_the_native_step_reads_every_parameter_by_its_name() -> None:
    fields = {name for name, _ in SequenceStruct._fields_}
    assert set(PARAMETERS) - {"max_tokens"} <= fields


def test_greedy_is_the_likeliest_token() -> None:
    assert SamplingParams(temperature=0.0) == GREEDY
