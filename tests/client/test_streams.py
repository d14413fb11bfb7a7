"""A stream ends when its reader does, and the server stops working for it."""

import pickle

import pytest

from refrain.client import ClientError, NotFoundError
from refrain.client.lines import LineSplitter

ENDLESS = {"model": "english", "max_tokens": 10**8, "ignore_eos": True}


def check_slot_is_free(client) -> None:
    """Ask for the only slot: no answer comes while it is taken."""
    assert client.next("The", model="english").results


def test_a_stream_that_is_closed_frees_its_slot(client) -> None:
    stream = client.stream("The", **ENDLESS)
    next(stream)
    stream.close()
    check_slot_is_free(client)
    assert list(stream) == []
    assert stream.end is None


def test_the_end_of_a_with_block_ends_the_stream(client) -> None:
    with client.stream("The", **ENDLESS) as stream:
        next(stream)
    check_slot_is_free(client)


def test_a_stream_that_nobody_holds_any_more_frees_its_slot(client) -> None:
    next(client.stream("The", **ENDLESS))
    check_slot_is_free(client)


def test_a_score_stream_that_is_closed_frees_its_slot(client) -> None:
    with client.score_stream(("The cat sat. " * 2_000 for _ in range(99)), stride=500) as stream:
        next(stream)
    check_slot_is_free(client)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_lines_end_at_newlines_alone_wherever_they_are_cut(size) -> None:
    text = "a\u2028b\r\n\r\nc\x85\x0bd\n".encode()
    splitter = LineSplitter()
    lines = []
    for first in range(0, len(text), size):
        lines += splitter.push(text[first : first + size])
    assert lines == ["a\u2028b".encode(), "c\x85\x0bd".encode()]


def test_errors_can_be_handed_to_other_processes(client) -> None:
    with pytest.raises(NotFoundError) as refusal:
        client.model("nobody")
    again = pickle.loads(pickle.dumps(refusal.value))
    assert isinstance(again, ClientError)
    assert vars(again) == vars(refusal.value)
    assert str(again) == refusal.value.message
