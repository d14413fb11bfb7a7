"""A thread that serves: it starts, stops, and breaks once and for all."""

import asyncio
import threading

import pytest

from refrain.inference.drivers.engine_thread import Caller, EngineThread
from refrain.inference.errors import EngineError, EngineFailureError, EngineStoppedError
from tests.support.fake_runner import LIMIT


class Waiter(EngineThread):
    """Waits until it is stopped, or breaks at once."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__("waiter")
        self._fault = fault
        self.errors: list[EngineError] = []
        self.is_over = threading.Event()

    def _serve(self) -> None:
        if self._fault:
            raise self._fault
        with self._condition:
            self._condition.wait_for(lambda: self._refusal)

    def _end_all(self, error: EngineError) -> None:
        self.errors.append(error)
        self.is_over.set()

    def check(self) -> None:
        if self._refusal:
            raise self._refusal


def test_a_thread_is_alive_between_start_and_stop() -> None:
    waiter = Waiter()
    assert not waiter.is_alive
    waiter.start_thread()
    assert waiter.is_alive
    waiter.check()
    asyncio.run(waiter.stop())
    assert not waiter.is_alive
    assert [type(error) for error in waiter.errors] == [EngineStoppedError]
    with pytest.raises(EngineStoppedError):
        waiter.check()


def test_stopping_once_more_changes_nothing() -> None:
    waiter = Waiter()
    waiter.start_thread()
    for _ in range(2):
        asyncio.run(waiter.stop())
    assert len(waiter.errors) == 1


def test_what_was_never_started_may_be_stopped() -> None:
    waiter = Waiter()
    asyncio.run(waiter.stop())
    with pytest.raises(EngineStoppedError):
        waiter.check()


def test_what_breaks_is_reported_to_all_who_wait_and_to_all_who_come() -> None:
    fault = ValueError("a step broke")
    waiter = Waiter(fault)
    waiter.start_thread()
    assert waiter.is_over.wait(LIMIT)
    assert [type(error) for error in waiter.errors] == [EngineFailureError]
    assert waiter.errors[0].__cause__ is fault
    assert not waiter.is_alive
    with pytest.raises(EngineFailureError, match="a step broke"):
        waiter.check()
    asyncio.run(waiter.stop())
    with pytest.raises(EngineFailureError, match="a step broke"):
        waiter.check()


def test_each_caller_has_statistics_of_its_own() -> None:
    one, other = Caller("one"), Caller("other")
    one.stats.note_model("tang")
    assert other.stats.models == []
