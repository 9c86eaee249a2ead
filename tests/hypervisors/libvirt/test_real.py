"""The libvirt connector on the real thing: libvirt's own test driver, and a libvirtd with domains.

What all connectors have in common is in the contract's tests.
"""

import os
import signal
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from aerostat.errors import LinkError, UsageError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.units import GIB, MIB

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

LIMIT = 10.0
SIZE = 128 * MIB
TEST_DRIVER = "libvirt:6695eb01-f6a4-8304-79aa-97f2502e193f"
OURS = "guarantee='64MiB'"
URN = "urn:aerostat:domain:1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def laboratory() -> AsyncIterator[Laboratory]:
    async with Laboratory(memory=GIB) as laboratory:
        for name in ("one", "two"):
            await laboratory.start_libvirt_guest(name, SIZE)
        yield laboratory


async def connect(libvirtd: Libvirtd, *, passthrough: bool = False) -> LibvirtConnector:
    connector = LibvirtConnector(libvirtd.uri, period=1, passthrough=passthrough)
    await connector.start()
    return connector


async def read(connector: LibvirtConnector, key: str) -> Reading | None:
    """Return the guest's reading, once it has figures of its own."""
    answer = (await connector.sample([key], LIMIT))[key]
    return answer if isinstance(answer, Reading) and answer.sampled_at is not None else None


async def has_figures(connector: LibvirtConnector, keys: list[str]) -> bool:
    return all([await read(connector, key) for key in keys])


def keys_of(laboratory: Laboratory) -> list[str]:
    return [f"libvirt:{domain.uuid}" for domain in laboratory.domains]


async def test_the_test_drivers_domain_is_a_guest() -> None:
    """Its bulk call says nothing of balloons, and its figures are as old as libvirt."""
    connector = LibvirtConnector("test:///default")
    await connector.start()
    try:
        (guest,) = await connector.guests()
        before = (await connector.sample([guest.key], LIMIT))[guest.key]
        await connector.set_target(guest.key, GIB, LIMIT)
        after = (await connector.sample([guest.key], LIMIT))[guest.key]
    finally:
        await connector.close()

    assert (guest.key, guest.name) == (TEST_DRIVER, "test")
    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    assert (before.max_size, before.guest_size, before.sampled_at) == (8 * GIB, 2 * GIB, None)
    assert after.guest_size == GIB


async def test_nothing_is_changed_where_nothing_may_be() -> None:
    connector = LibvirtConnector("test:///default", read_only=True, set_period=False)
    await connector.start()
    try:
        await connector.sample([TEST_DRIVER], LIMIT)
        examined = await connector.examine(TEST_DRIVER, LIMIT)
        with pytest.raises(UsageError):
            await connector.set_target(TEST_DRIVER, GIB, LIMIT)
    finally:
        await connector.close()

    assert (examined.may_change, examined.interval) == (False, 0)


async def test_a_libvirtd_that_is_not_there_is_said_so(laboratory: Laboratory) -> None:
    nowhere = laboratory.directory / "nowhere"
    connector = LibvirtConnector(f"qemu+unix:///system?socket={nowhere}")
    await connector.start()
    try:
        with pytest.raises(LinkError, match="nowhere"):
            await connector.guests()
    finally:
        await connector.close()


async def is_cut_off(connector: LibvirtConnector) -> bool:
    try:
        await connector.guests()
    except LinkError:
        return True
    return False


async def test_a_libvirtd_that_dies_is_found_again(laboratory: Laboratory) -> None:
    libvirtd, keys = await laboratory.libvirtd(), keys_of(laboratory)
    connector = await connect(libvirtd)
    try:
        await until(partial(has_figures, connector, keys), within=60)
        await libvirtd.kill()
        await until(partial(is_cut_off, connector))
        await libvirtd.start()
        await until(partial(has_figures, connector, keys), within=60)
    finally:
        await connector.close()

    assert connector.counters["helpers"] > 1


async def test_a_libvirtd_that_hangs_is_given_up_and_found_again(laboratory: Laboratory) -> None:
    libvirtd, keys = await laboratory.libvirtd(), keys_of(laboratory)
    connector = await connect(libvirtd)
    assert libvirtd.pid is not None
    try:
        await until(partial(has_figures, connector, keys), within=60)
        os.kill(libvirtd.pid, signal.SIGSTOP)
        try:
            while connector.counters["helpers"] == 1:
                answers = await connector.sample(keys, 0.2)
                assert all(isinstance(answer, LinkError) for answer in answers.values())
        finally:
            os.kill(libvirtd.pid, signal.SIGCONT)
        await until(partial(has_figures, connector, keys), within=60)
    finally:
        await connector.close()


async def test_settings_are_those_of_the_metadata_and_follow_it(laboratory: Laboratory) -> None:
    one = laboratory.domains[0]
    connector = await connect(await laboratory.libvirtd())

    async def settings() -> dict[str, str]:
        found = {guest.name: guest.settings for guest in await connector.guests()}
        return dict(found["one"])

    try:
        assert await settings() == {}
        await one.virsh(
            "metadata", "--live", "--uri", URN, "--key", "a", "--set", f"<memory {OURS}/>"
        )

        async def are_there() -> bool:
            return await settings() == {"guarantee": "64MiB"}

        await until(are_there, within=30)
    finally:
        await connector.close()


async def test_qemus_own_monitor_is_asked_where_that_is_allowed(laboratory: Laboratory) -> None:
    """Whether it tells more depends on QEMU's version and the guest's; the figures are the same."""
    keys = keys_of(laboratory)
    connector = await connect(await laboratory.libvirtd(), passthrough=True)
    try:
        await until(partial(has_figures, connector, keys), within=60)
        reading = await read(connector, keys[0])
    finally:
        await connector.close()

    assert reading is not None
    assert len(reading.statistics) >= 10
    assert await is_tainted(laboratory)


async def is_tainted(laboratory: Laboratory) -> bool:
    """Tell whether libvirt has written down that its domain was talked to past it."""
    libvirtd = await laboratory.libvirtd()
    logs = libvirtd.place.glob("**/qemu/one.log")
    return any("custom-monitor" in log.read_text(errors="replace") for log in logs)
