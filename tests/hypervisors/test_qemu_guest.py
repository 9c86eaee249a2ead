"""The QMP connector and stock QEMU's own balloon, with a real Linux guest behind it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.errors import MissingError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp import QmpConnector
from aerostat.testing.guests.qemu import Parts, QemuGuest
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]

SIZE = 192 * MIB


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[QemuGuest]:
    try:
        Parts()
    except MissingError as error:
        pytest.skip(str(error))
    guest = QemuGuest("alpha", size=SIZE, directory=tmp_path)
    try:
        await guest.start()
        yield guest
    finally:
        await guest.stop()


async def read(connector: QmpConnector, guest: QemuGuest) -> Reading:
    key = f"qmp:{guest.control}"
    result = (await connector.sample([key], 5.0))[key]
    assert isinstance(result, Reading), result
    return result


async def test_fresh_figures_on_demand_and_a_balloon_that_moves(guest: QemuGuest) -> None:
    connector = QmpConnector([str(guest.control)])
    await connector.start()
    try:
        before = await guest.counters()
        began = time.monotonic()
        first = await read(connector, guest)
        after = await guest.counters()
        assert first.sampled_at is not None
        assert began <= first.sampled_at <= first.taken_at
        faults = first.statistics[Tag.MINOR_FAULTS]
        assert before["vmstat"]["pgfault"] <= faults <= after["vmstat"]["pgfault"]
        assert first.statistics[Tag.TOTAL_MEMORY] == after["meminfo"]["MemTotal"]
        assert (first.max_size, first.guest_size) == (SIZE, SIZE)
        assert first.held is not None
        assert first.held > 0

        target = SIZE - 64 * MIB
        await connector.set_target(first.key, target, 5.0)
        async with asyncio.timeout(60):
            moving = await read(connector, guest)
            while moving.guest_size != target:
                await asyncio.sleep(0.1)
                moving = await read(connector, guest)
            there = time.monotonic()
            smaller = await read(connector, guest)
            while smaller.sampled_at is None or smaller.sampled_at < there:
                await asyncio.sleep(0.1)
                smaller = await read(connector, guest)
        freed = first.statistics[Tag.FREE_MEMORY] - smaller.statistics[Tag.FREE_MEMORY]
        assert freed > 48 * MIB
    finally:
        await connector.close()
