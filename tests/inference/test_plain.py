"""Answers and questions as objects of JSON, by the names of the routes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from refrain.inference.operations.generation import GenerationParams
from refrain.inference.operations.next_token import NextQuery
from refrain.inference.operations.rescoring import RescoringParams
from refrain.inference.operations.scoring import ScoreParams
from refrain.inference.plain import Plain
from refrain.models.native.step.sampling import SamplingParams


@dataclass(frozen=True)
class Leaf(Plain):
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Tree(Plain):
    hidden = frozenset({"secret"})

    leaf: Leaf
    count: int
    secret: bytes = b""
    note: str | None = None
    leaves: Sequence[Leaf] = field(default_factory=list)
    by_name: Mapping[str, float] = field(default_factory=dict)
    pairs: Sequence[Sequence[int]] = ()


def test_a_field_that_is_as_usual_is_left_out_and_one_without_a_default_never() -> None:
    assert Tree(Leaf("a"), 0).as_json() == {"leaf": {"name": "a"}, "count": 0}
    assert Tree(Leaf("a"), 0, note="").as_json()["note"] == ""


def test_what_is_no_part_of_the_contract_is_left_out_whatever_it_holds() -> None:
    assert "secret" not in Tree(Leaf("a"), 0, secret=b"key").as_json()


def test_objects_within_lists_and_tuples_are_objects_of_json_too() -> None:
    tree = Tree(Leaf("a", 2.0), 1, leaves=(Leaf("b"), Leaf("c", 0.5)), pairs=[(1, 2), [3]])
    found = tree.as_json()
    assert found == {
        "leaf": {"name": "a", "weight": 2.0},
        "count": 1,
        "leaves": [{"name": "b"}, {"name": "c", "weight": 0.5}],
        "pairs": [[1, 2], [3]],
    }
    assert json.loads(json.dumps(found)) == found


def test_a_mapping_is_copied_so_that_the_answer_cannot_be_changed_through_it() -> None:
    weights = {"a": 1.0}
    found = Tree(Leaf("a"), 0, by_name=weights).as_json()
    found["by_name"]["b"] = 2.0
    assert weights == {"a": 1.0}
    assert "by_name" not in Tree(Leaf("a"), 0, by_name={}).as_json()


def test_a_default_that_is_made_anew_is_as_usual_while_it_is_empty() -> None:
    assert "leaves" not in Tree(Leaf("a"), 0, leaves=[]).as_json()
    assert "leaves" not in Tree(Leaf("a"), 0).as_json()


@pytest.mark.parametrize(
    "question",
    [NextQuery(), ScoreParams(), RescoringParams(), GenerationParams(SamplingParams())],
    ids=lambda question: type(question).__name__,
)
def test_a_question_that_is_as_usual_is_an_empty_body(question) -> None:
    assert question.as_json() == {}
