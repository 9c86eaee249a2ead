"""The QMP connector and stock QEMU's own balloon, with a real Linux guest behind it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.errors import MissingError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.hypervisors.qmp.link import Ask, open_link
from aerostat.testing.guests.qemu import Parts, QemuGuest
from aerostat.testing.polling import until
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


async def sample(connector: QmpConnector, guest: QemuGuest) -> object:
    key = f"qmp:{guest.control}"
    await connector.guests()
    return (await connector.sample([key], 5.0))[key]


async def read(connector: QmpConnector, guest: QemuGuest) -> Reading:
    result = await sample(connector, guest)
    assert isinstance(result, Reading), result
    return result


async def has_size(connector: QmpConnector, guest: QemuGuest, size: int) -> bool:
    answer = await sample(connector, guest)
    return isinstance(answer, Reading) and answer.guest_size == size


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


async def test_a_guest_that_migrates_keeps_its_size_and_is_read_where_it_is(
    tmp_path: Path,
) -> None:
    """Its figures are its own all the while: the old ones have their age, then new ones come."""
    own = tmp_path / "own"
    incoming = f"unix:{tmp_path}/incoming"
    here = QemuGuest(
        "here", size=SIZE, directory=tmp_path, options=("-qmp", f"unix:{own},server=on,wait=off")
    )
    there = QemuGuest("there", size=SIZE, directory=tmp_path, options=("-incoming", incoming))
    connector = QmpConnector([str(tmp_path / "*.sock")])
    try:
        await here.start()
        await connector.start()
        first = await read(connector, here)
        await connector.set_target(first.key, SIZE - 32 * MIB, 5.0)
        await until(lambda: has_size(connector, here, SIZE - 32 * MIB), within=60.0)
        await there.launch()
        await until(there.control.exists)
        monitor = await open_link(str(own), 5.0)
        await until(lambda: has_size(connector, there, SIZE), within=60.0)
        assert (await read(connector, there)).statistics == {}
        began = time.monotonic()
        await monitor.ask(Ask("migrate", {"uri": incoming}))
        async with asyncio.timeout(60):
            arrived = await read(connector, there)
            while arrived.sampled_at is None or arrived.sampled_at < began:
                await asyncio.sleep(0.1)
                arrived = await read(connector, there)
        assert (arrived.max_size, arrived.guest_size) == (SIZE, SIZE - 32 * MIB)
        assert arrived.statistics[Tag.MINOR_FAULTS] >= first.statistics[Tag.MINOR_FAULTS]
        left = await read(connector, here)
        assert left.sampled_at is not None
        assert left.sampled_at < arrived.sampled_at
        assert (await there.run("echo moved")).output == "moved"
    finally:
        await connector.close()
        await here.kill()
        await there.kill()
