"""Drivers with a thread of their own, started and stopped around a coroutine, and looked through afterwards."""

import asyncio

from refrain.inference.drivers.threaded import ThreadedDriver
from refrain.inference.engine.config import EngineConfig
from refrain.inference.engine.engine import Engine
from tests.support.fake_runner import LIMIT, Gate, fake_engine
from tests.support.token_operations import predict


def serve(body, engine: Engine | None = None, *, config=None, **options) -> None:
    """Run a coroutine against a started driver; stop the driver, and look for what is left behind.

    Parameters
    ----------
    engine
        Served instead of one whose runner is a fake one, of these options.
    """

    async def run() -> None:
        faults = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        limits = config or EngineConfig()
        driver = ThreadedDriver(engine or fake_engine(limits, **options), limits.max_queue)
        driver.start_thread()
        try:
            await asyncio.wait_for(body(driver), LIMIT)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        finally:
            await driver.stop()
        assert not faults

    asyncio.run(run())


async def reached(gate: Gate) -> None:
    """Wait until a step waits at a gate."""
    assert await asyncio.to_thread(gate.is_reached.wait, LIMIT)


async def settle(driver: ThreadedDriver) -> None:
    """Wait until the thread has heard of all who have left."""
    await driver.run(predict([2]))


def assert_nothing_is_left(driver: ThreadedDriver) -> None:
    scheduler = driver.engine.scheduler
    assert (driver.load.num_running, driver.load.num_waiting, scheduler.num_taken) == (0, 0, 0)
    assert sorted(driver.engine.free_slots) == list(range(driver.engine.num_slots))
    assert not driver._open
