"""The device and real Linux drivers on QEMU, by way of QEMU's generic vhost-user device."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.qemu import Parts, QemuGuest, find_generic_program
from aerostat.testing.polling import until
from aerostat.testing.processes.device import DeviceProcess
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB
from aerostat.virtio.features import RING_PACKED

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]

SIZE = 512 * MIB
FILLED = 200 * MIB
SMALL = SIZE - 256 * MIB

DRIVER = "/sys/bus/virtio/drivers/virtio_balloon"

# How far figures of a guest at rest may be apart that were read one after the other.
SLACK = 2 * MIB

RECLAIM = {
    *(Tag.OOM_KILLS, Tag.ALLOC_STALLS, Tag.ASYNC_SCANS, Tag.DIRECT_SCANS),
    *(Tag.ASYNC_RECLAIMS, Tag.DIRECT_RECLAIMS),
}

# Counters of a device at work; the others count what went wrong.
WORKING = ("front_ends", "punches", "punched_bytes", "report_punches", "reported_bytes")


class Machine(NamedTuple):
    """A guest, and the two monitors that it has: QEMU's, and the device's."""

    guest: QemuGuest
    qemu: ControlClient
    balloon: ControlClient
    has_packed_rings: bool

    async def becomes(self, size: int) -> dict[str, Any]:
        """Wait until the guest has this size, and return a sample."""
        await until(lambda: self.sample()["guest-size"] == size, within=60.0)
        return self.sample()

    async def answers(self) -> dict[str, Any]:
        """Wait until the driver answers, and return its sample."""
        await until(lambda: bool(self.sample()["fresh"]), within=60.0)
        return self.sample()

    def begins_to_move(self) -> None:
        """Wait until the guest's size changes."""
        size = self.balloon.run("query-balloon")
        self.balloon.wait_until(lambda: bool(self.balloon.run("query-balloon") != size))

    def sample(self) -> dict[str, Any]:
        return self.balloon.sample(timeout=1.0)


@pytest.fixture(params=["6.1", "6.12", "newest"])
def parts(request: pytest.FixtureRequest) -> Parts:
    """A QEMU that has the generic device, and a kernel of each series."""
    with optional_part():
        return Parts.of_linux(request.param, find_generic_program())


@pytest.fixture
async def machine(
    run_directory: Path, parts: Parts, request: pytest.FixtureRequest
) -> AsyncIterator[Machine]:
    """A guest on a device without free page reporting, or with the options that a test asks for.

    One of the kernels has packed rings, which is as good as all of them having both kinds.
    """
    options = getattr(request, "param", ("--no-free-page-reporting",))
    if "6.12" in request.node.callspec.id:
        options += ("--packed-rings",)
    device = DeviceProcess("one", size=SIZE, directory=run_directory, options=options)
    guest = QemuGuest(
        "one", size=SIZE, directory=run_directory, device_socket=device.socket, parts=parts
    )
    await device.start()
    try:
        await guest.start()
        with ControlClient(guest.control) as qemu, ControlClient(device.control) as balloon:
            yield (machine := Machine(guest, qemu, balloon, "--packed-rings" in options))
            if guest.alive:
                assert qemu.run("query-status")["status"] == "running"
            counters = machine.sample()["counters"]
            assert {name for name, count in counters.items() if count} <= {*WORKING}
    finally:
        await guest.stop()
        await device.stop()


async def test_figures_are_the_guests_own(machine: Machine) -> None:
    before = await machine.guest.counters()
    sample = await machine.answers()
    after = await machine.guest.counters()
    stats = sample["stats"]
    faults = stats[QEMU_KEYS[Tag.MINOR_FAULTS]]
    assert before["vmstat"]["pgfault"] <= faults <= after["vmstat"]["pgfault"]
    assert stats[QEMU_KEYS[Tag.TOTAL_MEMORY]] == after["meminfo"]["MemTotal"]
    free = stats[QEMU_KEYS[Tag.FREE_MEMORY]]
    assert abs(free - after["meminfo"]["MemFree"]) <= SLACK
    assert (sample["max-size"], sample["guest-size"]) == (SIZE, SIZE)
    # A character for each feature, the first for number 0.
    features = await machine.guest.command("shell", f"cat {DRIVER}/virtio*/features")
    assert (features[0][RING_PACKED] == "1") == machine.has_packed_rings
    # Linux sends its figures of reclaim since 6.12.
    tags = set(Tag) if machine.guest.version >= (6, 12) else set(Tag) - RECLAIM
    assert stats.keys() == {"unknown", *(QEMU_KEYS[tag] for tag in tags)}
    assert stats["unknown"] == {}


async def test_what_is_inflated_the_host_has_and_what_is_deflated_the_guest(
    machine: Machine,
) -> None:
    await machine.guest.fill(FILLED)
    await machine.guest.free()
    before = machine.sample()
    assert before["held"] > FILLED

    machine.balloon.run("balloon", value=SMALL)
    small = await machine.becomes(SMALL)
    assert small["counters"]["punched_bytes"] == SIZE - SMALL
    assert before["held"] - small["held"] > 150 * MIB
    assert (await machine.guest.counters())["meminfo"]["MemFree"] < SMALL

    machine.balloon.run("balloon", value=SIZE)
    whole = await machine.becomes(SIZE)
    assert whole["stats"][QEMU_KEYS[Tag.FREE_MEMORY]] > SMALL
    await machine.guest.fill(FILLED)
    assert machine.sample()["held"] - whole["held"] > 150 * MIB


@pytest.mark.parametrize("machine", [()], indirect=True)
@pytest.mark.statement("DEV-REP-1")
async def test_what_the_guest_frees_the_host_has_without_being_asked(machine: Machine) -> None:
    await machine.guest.fill(FILLED)
    filled = machine.sample()
    assert filled["held"] > FILLED
    await machine.guest.free()
    # Linux reports what is free some two seconds after.
    await until(lambda: filled["held"] - machine.sample()["held"] > 150 * MIB, within=60.0)
    counters = machine.sample()["counters"]
    assert counters["reported_bytes"] > 150 * MIB
    assert counters["punched_bytes"] == 0
    await machine.guest.fill(FILLED)


async def test_a_target_set_while_the_balloon_moves_is_not_lost(machine: Machine) -> None:
    # With every `actual` that the driver writes, QEMU sends the whole configuration as it last
    # knew it, and so the target of a moment ago.
    machine.balloon.run("balloon", value=(SMALL + SIZE) // 2)
    await machine.becomes((SMALL + SIZE) // 2)
    for target in (SMALL, SIZE) * 50:
        machine.balloon.run("balloon", value=target)
        machine.begins_to_move()
    last = SIZE - 100 * MIB
    machine.balloon.run("balloon", value=last)
    await machine.becomes(last)


async def test_after_a_pause_all_goes_on(machine: Machine) -> None:
    first = await machine.answers()
    for target in (SMALL, SIZE):
        machine.qemu.run("stop")
        assert not machine.sample()["fresh"]
        # Told of at once, QEMU 11.1 would crash: it is only told of while a ring is enabled.
        machine.balloon.run("balloon", value=target)
        machine.qemu.run("cont")
        await machine.becomes(target)
    assert (await machine.answers())["sampled-at"] > first["sampled-at"]
    assert await machine.guest.command("ping") == []


async def test_a_reset_guest_begins_anew_with_the_same_target(machine: Machine) -> None:
    machine.balloon.run("balloon", value=SMALL)
    await machine.becomes(SMALL)
    old = await machine.answers()

    machine.qemu.run("set-action", reboot="reset")
    machine.qemu.run("system_reset")
    await machine.guest.booted()
    new = await machine.becomes(SMALL)
    assert new["counters"]["punched_bytes"] >= 2 * (SIZE - SMALL)
    assert new["sampled-at"] > old["sampled-at"]
    assert (await machine.guest.counters())["meminfo"]["MemFree"] < SMALL


async def test_without_its_driver_the_guest_is_whole_and_a_new_driver_is_served(
    machine: Machine,
) -> None:
    machine.balloon.run("balloon", value=SMALL)
    await machine.becomes(SMALL)
    for _ in range(2):
        await machine.guest.command("rmmod", "virtio_balloon")
        silent = machine.sample()
        assert (silent["fresh"], silent["guest-size"]) == (False, SIZE)
        machine.balloon.run("balloon", value=SIZE)  # again with nobody to be told
        machine.balloon.run("balloon", value=SMALL)
        await machine.guest.command("insmod", "virtio_balloon")
        await machine.becomes(SMALL)
        await machine.answers()


async def test_a_guest_that_shuts_down_does_not_wait_for_us(machine: Machine) -> None:
    """Linux waits for the balloon's work first, and so for every buffer that we have."""
    machine.balloon.run("balloon", value=SMALL)
    machine.begins_to_move()
    await machine.guest.command("poweroff")
    async with asyncio.timeout(60):
        assert await machine.guest.exited() == 0
