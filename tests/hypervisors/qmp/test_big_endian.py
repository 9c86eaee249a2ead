"""The manager and a big-endian guest on QEMU's own balloon, legacy and modern.

To the driver of a legacy device the ring and what is sent over it are in its own byte order (virtio
1.2, 2.7.1 and 5.5.6.3.1); QEMU turns it round. What the manager reads is the same for all.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.cli.main import invoke
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.testing.guests.boards import S390X
from aerostat.testing.guests.qemu import Parts, QemuGuest
from aerostat.testing.polling import until
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]

SIZE = 256 * MIB
SMALL = SIZE - 64 * MIB
SLACK = 2 * MIB
VERSION_1 = 32

# Properties of QEMU's virtio-balloon-ccw.
LEGACY = "max_revision=0"
MODERN = "max_revision=2"


@pytest.fixture(params=[LEGACY, MODERN], ids=["legacy", "modern"])
async def guest(request: pytest.FixtureRequest, run_directory: Path) -> AsyncIterator[QemuGuest]:
    with optional_part():
        parts = Parts.of_s390x()
    guest = QemuGuest(
        "big",
        size=SIZE,
        directory=run_directory,
        balloon=request.param,
        board=S390X,
        parts=parts,
    )
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


async def is_modern(guest: QemuGuest) -> bool:
    """Whether its driver and the device have agreed on more than the legacy interface."""
    ran = await guest.run("cat /sys/bus/virtio/drivers/virtio_balloon/virtio*/features")
    return ran.output[VERSION_1] == "1"


async def test_its_figures_are_its_own_and_its_balloon_moves(guest: QemuGuest) -> None:
    assert await is_modern(guest) == (guest.balloon == MODERN)
    connector = QmpConnector([str(guest.control)])
    await connector.start()
    try:
        before = await guest.counters()
        first = await read(connector, guest)
        after = await guest.counters()
        faults = first.statistics[Tag.MINOR_FAULTS]
        assert before["vmstat"]["pgfault"] <= faults <= after["vmstat"]["pgfault"]
        assert first.statistics[Tag.TOTAL_MEMORY] == after["meminfo"]["MemTotal"]
        free = first.statistics[Tag.FREE_MEMORY]
        assert abs(free - after["meminfo"]["MemFree"]) <= SLACK
        assert (first.max_size, first.guest_size) == (SIZE, SIZE)

        for target in (SMALL, SIZE):
            await connector.set_target(first.key, target, 5.0)

            async def there(target: int = target) -> bool:
                return (await read(connector, guest)).guest_size == target

            await until(there, within=60.0)
            vmstat = (await guest.counters())["vmstat"]
            held = (vmstat["balloon_inflate"] - vmstat["balloon_deflate"]) * 4096
            assert held == SIZE - target
    finally:
        await connector.close()


async def test_the_command_shows_what_it_says(
    guest: QemuGuest, capsys: pytest.CaptureFixture[str]
) -> None:
    total = (await guest.counters())["meminfo"]["MemTotal"]
    command = ["stats", "big", "--qmp", str(guest.control), "--json"]
    assert await asyncio.to_thread(invoke, command) == 0
    assert json.loads(capsys.readouterr().out)["guest"]["statistics"]["total_memory"] == total
