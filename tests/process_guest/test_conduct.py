"""A process guest, watched by a device: it leaves alone what is not its own, under pressure too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import Queue
from aerostat.testing.conformance.device_thread import serve_in_thread
from aerostat.testing.conformance.watched_device import WatchedDevice
from aerostat.testing.conformance.watched_guest import Marks, WatchedGuest
from aerostat.testing.guests.process import ProcessGuest
from aerostat.testing.processes.nursery import Nursery

MIB = 1 << 20
SIZE = 96 * MIB
BALLOON = 16 * MIB
# What the model's kernel keeps free by itself, and more.
LEFT_FREE = 8 * MIB


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[WatchedGuest]:
    device = WatchedDevice()
    nursery = Nursery(directory=tmp_path)
    await nursery.start()
    async with serve_in_thread(device, size=SIZE, directory=tmp_path) as served:
        guest = ProcessGuest(
            "guest", size=SIZE, directory=tmp_path, device_socket=served.socket, nursery=nursery
        )
        await guest.start()
        yield WatchedGuest(guest, device, served, LEFT_FREE)
        await guest.stop()
    await nursery.kill()
    assert device.offences == []


@pytest.mark.statement("DRV-OP-9", "DRV-OP-10")
async def test_pages_are_left_alone_while_they_are_given(watched: WatchedGuest) -> None:
    watched.device.holding.add(Queue.INFLATE)
    watched.ask(BALLOON)
    marks = Marks(await watched.withheld())
    watched.ask(0)
    assert await watched.use_what_is_free("greedy") == 0
    assert marks.changed() == 0
    assert len(marks) > 0

    watched.served.do(lambda: watched.device.release(Queue.INFLATE))
    await watched.says(0)


@pytest.mark.statement("DRV-OP-7")
async def test_pages_are_left_alone_until_they_are_given_back(watched: WatchedGuest) -> None:
    await watched.settle(BALLOON)
    watched.device.holding.add(Queue.DEFLATE)
    watched.ask(0)
    marks = Marks(await watched.withheld())
    assert await watched.use_what_is_free("greedy") == 0
    assert marks.changed() == 0
    assert len(marks) > 0

    watched.served.do(lambda: watched.device.release(Queue.DEFLATE))
    await watched.says(0)
    assert await watched.use_what_is_free("greedier") == 0
    assert marks.changed() > 0
