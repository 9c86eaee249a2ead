"""The QMP connector, our device, and real Linux guests."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.laboratory import Laboratory
from aerostat.units import MIB

pytestmark = pytest.mark.uml

SIZE = 128 * MIB


async def read(connector: QmpConnector, key: str) -> Reading:
    result = (await connector.sample([key], 5.0))[key]
    assert isinstance(result, Reading), result
    return result


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Freeze a process, as an overloaded host does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_real_guest_is_read_and_moved() -> None:
    async with Laboratory(memory=SIZE) as laboratory:
        await laboratory.start_guest("alpha", SIZE)
        connector = QmpConnector([str(laboratory.directory / "*.sock")])
        await connector.start()
        try:
            (guest,) = await connector.guests()
            began = time.monotonic()
            reading = await read(connector, guest.key)
            (guest,) = await connector.guests()
            assert guest.name == "alpha"
            assert reading.sampled_at is not None
            assert began < reading.sampled_at < reading.taken_at
            assert (reading.max_size, reading.guest_size) == (SIZE, SIZE)
            assert reading.held is not None
            assert 0 < reading.held < SIZE
            # Linux 6.1 in user mode sends these eight.
            assert reading.statistics.keys() >= set(range(Tag.DISK_CACHES + 1))
            assert 0 < reading.statistics[Tag.FREE_MEMORY] < SIZE
            await connector.set_target(guest.key, SIZE - 32 * MIB, 5.0)
            async with asyncio.timeout(20):
                smaller = await read(connector, guest.key)
                while smaller.guest_size != SIZE - 32 * MIB:
                    await asyncio.sleep(0.02)
                    smaller = await read(connector, guest.key)
            smaller = await read(connector, guest.key)  # with figures of after the last page
            freed = reading.statistics[Tag.FREE_MEMORY] - smaller.statistics[Tag.FREE_MEMORY]
            assert freed > 24 * MIB
        finally:
            await connector.close()


async def test_a_frozen_device_costs_only_its_own_guest() -> None:
    async with Laboratory(memory=2 * SIZE) as laboratory:
        await asyncio.gather(
            laboratory.start_guest("good", SIZE), laboratory.start_guest("frozen", SIZE)
        )
        connector = QmpConnector([str(laboratory.directory / "*.sock")])
        await connector.start()
        try:
            keys = {guest.source: guest.key for guest in await connector.guests()}
            good = keys[str(laboratory.directory / "good.sock")]
            frozen = keys[str(laboratory.directory / "frozen.sock")]
            await read(connector, good)
            await read(connector, frozen)
            (pid,) = (d.pid for d in laboratory.devices if d.control.stem == "frozen")
            assert pid is not None
            with stopped(pid):
                results = await connector.sample([good, frozen], 0.5)
                assert isinstance(results[good], Reading)
                assert not isinstance(results[frozen], Reading)
            async with asyncio.timeout(20):
                while True:  # thawed: connected again, and read
                    result = (await connector.sample([frozen], 1.0))[frozen]
                    if isinstance(result, Reading):
                        break
                    await asyncio.sleep(0.05)
        finally:
            await connector.close()
