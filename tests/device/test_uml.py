"""The device and a real Linux driver: its figures, its pages, and a storm of targets."""

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest

from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.parts import find_newer_uml
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import GIB, MIB

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


@pytest.fixture(autouse=True, params=["", "6.12"], ids=["here", "6.12"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution's user-mode Linux, and the laboratory's."""
    if request.param:
        with optional_part():
            monkeypatch.setenv("AEROSTAT_UML", str(find_newer_uml()))


# At most so many system calls that give memory back for a GiB of a fresh guest. Linux needs 1024
# requests for it, and lists what is mostly one run of pages in each.
MOST_CALLS = 1100

# The system calls by which a process can change what memory is mapped, or there at all.
MEMORY_CALLS = "fallocate,madvise,process_madvise,mmap,munmap,mremap,mprotect,ftruncate"


async def start(
    laboratory: Laboratory, size: int = SIZE, **options: Any
) -> tuple[UmlGuest, ControlClient]:
    guest = await laboratory.start_guest("guest", size, **options)
    return guest, ControlClient(laboratory.devices[0].control)


@pytest.mark.statement("DEV-REP-1", "DRV-REP-5")
async def test_what_the_guest_frees_the_host_has_without_being_asked(
    laboratory: Laboratory,
) -> None:
    guest, control = await start(laboratory, 384 * MIB, device_options=())
    with control:
        await guest.command("hold", worker="kept", size=16 * MIB)
        await guest.command("hold", worker="touched", size=150 * MIB)
        before = control.sample()
        await guest.command("hold", worker="touched", size=0)
        # Linux reports what is free some two seconds after: blocks that are free as a whole.
        wanted = before["held"] - 64 * MIB
        await until(lambda: bool(control.sample()["held"] < wanted), within=30.0)
        counters = control.sample()["counters"]
        assert counters["reported_bytes"] > 64 * MIB
        # In blocks of 2 MiB or more (5.5.6.7.1).
        assert counters["reported_bytes"] >= counters["report_punches"] * 2 * MIB
        assert (counters["punches"], counters["kept_reports"]) == (0, 0)
        assert (await guest.command("check", worker="kept"))["damaged"] == 0
        await guest.command("hold", worker="touched", size=150 * MIB)
        assert (await guest.command("check", worker="touched"))["damaged"] == 0


@pytest.mark.statement("DRV-HINT-1", "DRV-HINT-2", "DRV-HINT-4", "DRV-HINT-7", "DRV-HINT-10")
async def test_linux_tells_what_is_free_and_has_it_again(laboratory: Laboratory) -> None:
    guest, control = await start(laboratory, device_options=("--free-page-hint",))
    with control:
        await guest.command("hold", worker="kept", size=16 * MIB)
        free = control.sample()["stats"]["stat-free-memory"]
        # It tells of blocks of the largest kind, 4 MiB; the rest of what is free is smaller.
        for _ in range(2):
            answer = control.run("aerostat-hint", ranges=True)
            assert answer["complete"]
            assert free - 32 * MIB < answer["hinted"] <= free
            assert sum(length for _, length in answer["ranges"]) == answer["hinted"]
            assert not any(n % (4 * MIB) for found in answer["ranges"] for n in found)
            await until(lambda: free_memory(control) > free - 16 * MIB, within=10.0)
        # It keeps what it has told until DONE, but for what it needs itself.
        number = control.run("aerostat-hint", action="start")["id"]
        await until(lambda: control.run("aerostat-hint", action="query")["complete"], within=10.0)
        assert free_memory(control) < 32 * MIB
        await guest.command("hold", worker="grown", size=96 * MIB)
        assert control.run("aerostat-hint", action="done")["id"] == number
        await until(lambda: free_memory(control) > free - 128 * MIB, within=10.0)
        counters = control.sample()["counters"]
        bad = ("bad_command_ids", "stale_hints", "unkept_hints", "hint_punches", "outside_pages")
        assert not any(counters[name] for name in bad)
        for worker in ("kept", "grown"):
            assert (await guest.command("check", worker=worker))["damaged"] == 0


def free_memory(control: ControlClient) -> int:
    """Return what the guest says is free now."""
    return int(control.sample()["stats"]["stat-free-memory"])


async def test_a_fresh_guests_memory_is_had_for_few_system_calls(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    size, taken = 768 * MIB, 512 * MIB
    _, control = await start(laboratory, size)
    device = laboratory.devices[0].pid
    assert device is not None
    with control, SystemCalls(device, tmp_path / "calls") as calls:
        control.run("balloon", value=size - taken)
        await until(lambda: bool(control.sample()["guest-size"] == size - taken), within=60.0)
        counters = control.sample()["counters"]
    assert counters["punched_bytes"] == taken
    assert counters["punches"] <= MOST_CALLS * taken // GIB
    # And the kernel has seen no more of them than were counted.
    assert calls.counted is None or calls.counted == counters["punches"]


async def test_a_guest_that_shuts_down_does_not_wait_for_us(laboratory: Laboratory) -> None:
    """Linux waits for the balloon's work first, and so for every buffer that we have."""
    guest, control = await start(laboratory, device_options=())
    with control:
        control.run("balloon", value=SIZE - 96 * MIB)
        control.wait_until(lambda: control.run("query-balloon") != {"actual": SIZE})
        await guest.command("poweroff")
        async with asyncio.timeout(30):
            await guest.exited()
        assert laboratory.devices[0].alive


class SystemCalls:
    """What strace counts of a process's memory system calls; None where there is no strace."""

    def __init__(self, pid: int, report: Path) -> None:
        self.counted: int | None = None
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        if program := shutil.which("strace"):
            what = ("-f", "-c", "-e", f"trace={MEMORY_CALLS}", "-o", str(report), "-p", str(pid))
            self._process = subprocess.Popen([program, *what], stderr=subprocess.PIPE)

    def __enter__(self) -> Self:
        if self._process is not None:
            assert self._process.stderr is not None
            if b"attached" not in self._process.stderr.readline():
                self._end()  # this machine does not let us
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._end()
            lines = [line.split() for line in self._report.read_text().splitlines()]
            self.counted = next((int(line[3]) for line in lines if line[-1:] == ["total"]), 0)

    def _end(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()
        self._process = None


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
