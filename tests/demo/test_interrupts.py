"""Being asked to end, and being urged."""

import asyncio
import os
import signal

import pytest

from aerostat.demo.interrupts import EndedError, Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_signal_asks_and_the_second_urges(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await interrupts.asked.wait()
        assert not interrupts.urged.is_set()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await interrupts.urged.wait()


async def test_what_is_done_in_time_is_returned() -> None:
    assert await Interrupts().unless_asked(asyncio.sleep(0, "done")) == "done"


async def test_what_takes_too_long_is_cancelled() -> None:
    interrupts = Interrupts()
    cancelled = asyncio.Event()

    async def boot() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(interrupts.unless_asked(boot()))
    await asyncio.sleep(0)
    interrupts.ask()
    with pytest.raises(EndedError):
        await waiting
    assert cancelled.is_set()


async def test_an_error_of_what_is_waited_for_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Interrupts().unless_asked(fail())
