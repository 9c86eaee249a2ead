"""The device and a real Linux driver: its figures, its pages, and a storm of targets."""

from random import Random

import pytest

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.testing.control_client import ControlClient
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.uml import UmlGuest
from aerostat.units import MIB

pytestmark = pytest.mark.uml

SIZE = 256 * MIB
PAGE = 4096

# Where /proc/vmstat has what the driver sends, and in what unit.
COUNTERS = {
    Tag.SWAP_IN: ("pswpin", PAGE),
    Tag.SWAP_OUT: ("pswpout", PAGE),
    Tag.MAJOR_FAULTS: ("pgmajfault", 1),
    Tag.MINOR_FAULTS: ("pgfault", 1),
}
GAUGES = {
    Tag.FREE_MEMORY: "MemFree",
    Tag.TOTAL_MEMORY: "MemTotal",
    Tag.AVAILABLE_MEMORY: "MemAvailable",
}
# How far gauges of a guest at rest may be apart that were read one after the other.
GAUGE_SLACK = 2 * MIB


async def start(laboratory: Laboratory) -> tuple[UmlGuest, ControlClient]:
    guest = await laboratory.start_guest("guest", SIZE)
    return guest, ControlClient(laboratory.devices[0].control)


async def test_a_sample_lies_between_what_the_guest_says_before_and_after(
    laboratory: Laboratory,
) -> None:
    guest, control = await start(laboratory)
    with control:
        await guest.command("hold", worker="busy", size=16 * MIB)
        before = await guest.counters()
        sample = control.sample()
        after = await guest.counters()
    assert sample["fresh"]
    for tag, (name, unit) in COUNTERS.items():
        value = sample["stats"][QEMU_KEYS[tag]]
        assert before["vmstat"][name] * unit <= value <= after["vmstat"][name] * unit
    for tag, name in GAUGES.items():
        assert abs(sample["stats"][QEMU_KEYS[tag]] - after["meminfo"][name]) <= GAUGE_SLACK
    caches = after["vmstat"]["nr_file_pages"] * PAGE
    assert abs(sample["stats"][QEMU_KEYS[Tag.DISK_CACHES]] - caches) <= GAUGE_SLACK


async def test_what_the_guest_gives_the_host_has_and_what_it_keeps_is_untouched(
    laboratory: Laboratory,
) -> None:
    guest, control = await start(laboratory)
    with control:
        await guest.command("hold", worker="kept", size=32 * MIB)
        # Touch what is free, and free it again, so that the host holds it for nothing.
        await guest.command("hold", worker="touched", size=96 * MIB)
        await guest.command("hold", worker="touched", size=0)
        before = control.sample()
        control.run("balloon", value=SIZE - 96 * MIB)
        control.wait_until(lambda: control.sample()["guest-size"] == SIZE - 96 * MIB)
        after = control.sample()
        assert after["counters"]["punched_bytes"] == 96 * MIB
        # Some of it may never have been touched: what was free when the guest had booted.
        assert before["held"] - after["held"] > 72 * MIB
        assert (await guest.command("check", worker="kept"))["damaged"] == 0
        control.run("balloon", value=SIZE)
        control.wait_until(lambda: control.sample()["guest-size"] == SIZE)
        await guest.command("hold", worker="touched", size=96 * MIB)
        for worker in ("kept", "touched"):
            assert (await guest.command("check", worker=worker))["damaged"] == 0


async def test_a_storm_of_targets_under_load_damages_nothing(laboratory: Laboratory) -> None:
    source = Random(5)
    guest, control = await start(laboratory)
    with control:
        await guest.command("hold", worker="kept", size=32 * MIB)
        for number in range(100):
            control.run("balloon", value=source.randrange(160 * MIB, SIZE, PAGE))
            if number % 5 == 0:
                await guest.command("hold", worker="load", size=source.randrange(0, 24) * MIB)
            assert control.sample()["fresh"]
        control.run("balloon", value=SIZE)
        control.wait_until(lambda: control.sample()["guest-size"] == SIZE)
        for worker in ("kept", "load"):
            assert (await guest.command("check", worker=worker))["damaged"] == 0
        counters = control.sample()["counters"]
        assert (await guest.counters())["vmstat"]["oom_kill"] == 0
    working = ("front_ends", "punches", "punched_bytes")
    assert all(count == 0 for name, count in counters.items() if name not in working)
    assert counters["punched_bytes"] > 96 * MIB
