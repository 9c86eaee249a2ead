"""The laboratory's own libvirtd, and its domains: started, found again, and ended."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.errors import LinkError
from aerostat.testing.guests.libvirt import LibvirtGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes import sessions
from aerostat.testing.processes.libvirtd import Libvirtd
from aerostat.units import GIB, KIB, MIB

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

SIZE = 128 * MIB


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest() -> AsyncIterator[LibvirtGuest]:
    async with Laboratory(memory=GIB) as laboratory:
        yield await laboratory.start_libvirt_guest("alpha", SIZE, period=1)


async def test_a_domain_is_a_guest_that_obeys(guest: LibvirtGuest) -> None:
    free = (await guest.counters())["meminfo"]["MemFree"]
    await guest.fill(16 * MIB)
    assert (await guest.counters())["meminfo"]["MemFree"] < free - 12 * MIB
    await guest.free()
    assert (await guest.run("echo $((6 * 7))")).output == "42"
    assert guest.version >= (6, 1)


async def test_virsh_says_the_same_of_it(guest: LibvirtGuest) -> None:
    stats = dict(line.split() for line in (await guest.virsh("dommemstat")).splitlines())
    assert int(stats["actual"]) * KIB == SIZE
    assert int(stats["available"]) * KIB == (await guest.counters())["meminfo"]["MemTotal"]
    with pytest.raises(LinkError, match="no-such-command"):
        await guest.virsh("no-such-command")


async def test_the_hosts_own_places_are_as_they_were(guest: LibvirtGuest) -> None:
    """What it writes is in the run directory."""
    libvirtd = guest.libvirtd
    assert libvirtd.socket.is_relative_to(guest.directory)
    assert (libvirtd.run_directory / "alpha.pid").read_text() == str(guest.pid)
    for place in (Path("/run/libvirt/qemu"), Path("/var/lib/libvirt/qemu")):
        assert not list(place.rglob("*alpha*"))


async def test_a_libvirtd_that_is_killed_finds_its_domains_again(guest: LibvirtGuest) -> None:
    libvirtd = guest.libvirtd
    await libvirtd.kill()
    assert guest.alive
    assert [domain.members() for domain in libvirtd.domains()] == [[guest.pid]]
    await libvirtd.start()
    assert guest.uuid in await libvirtd.virsh("list", "--uuid")
    await guest.run("true")


async def test_what_a_killed_laboratory_left_is_swept(run_directory: Path) -> None:
    libvirtd = Libvirtd(directory=run_directory)
    await libvirtd.start()
    guest = LibvirtGuest("left", size=SIZE, directory=run_directory, libvirtd=libvirtd)
    await guest.start()
    (domain,) = libvirtd.domains()
    # A laboratory may be killed before it has written down what libvirtd has started.
    (run_directory / "left.session").unlink()
    assert len(domain.members()) == 1
    assert sessions.sweep(run_directory) >= 2
    assert domain.members() == []
    assert not libvirtd.place.exists()
    await guest.kill()
    await libvirtd.kill()


async def test_a_laboratory_that_ends_leaves_nothing() -> None:
    async with Laboratory(memory=GIB) as laboratory:
        libvirtd = await laboratory.libvirtd()
        assert await laboratory.libvirtd() is libvirtd
        assert libvirtd.pid is not None
        guest = await laboratory.start_libvirt_guest("brief", SIZE)
        assert guest.alive
        os.kill(libvirtd.pid, signal.SIGKILL)  # not even when it has died before
        await libvirtd.exited()
        directory = laboratory.directory
    assert not directory.exists()
    assert not guest.alive
