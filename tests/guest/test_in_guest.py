"""The driver in a real Linux guest, on QEMU's own balloon: what QEMU sees, and who dies how."""

import asyncio
import runpy
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.testing.control_client import BALLOON, ControlClient
from aerostat.testing.guests.parts import find_part
from aerostat.testing.guests.python import GuestPython, PythonGuest, package_files
from aerostat.testing.polling import until
from aerostat.testing.pytest_plugin import optional_part
from aerostat.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

SIZE = 384 * MIB
PYZ = "/opt/aerostat-guest.pyz"
# Emulated, the interpreter alone takes seconds to start.
SOON = 90.0


class Machine:
    """A guest, its monitor, and our driver in it."""

    def __init__(self, guest: PythonGuest) -> None:
        self.guest = guest
        self.qmp = ControlClient(guest.control)
        self.pid = 0

    async def drive(self, *arguments: str) -> None:
        """Start our driver, and return when it drives."""
        self.pid = await self.guest.begin(f"python3 -m aerostat.guest {' '.join(arguments)}")
        await until(lambda: self.said("interface"), within=SOON)

    async def said(self, words: str) -> bool:
        """Whether our driver has said so."""
        ran = await self.guest.run(f"cat /output/{self.pid}")
        return words in ran.output

    async def child(self) -> int:
        """Return the process that does our driver's work."""
        ran = await self.guest.run(f"grep -l 'PPid:.{self.pid}$' /proc/[0-9]*/status")
        return int(ran.output.split("/")[2])

    @property
    def kernel_drives(self) -> bool:
        """Whether it is the kernel's driver that QEMU's device is negotiated with."""
        return self._has_accepted("EVENT_IDX")

    @property
    def has_packed_rings(self) -> bool:
        """Whether QEMU's device and its driver have packed rings."""
        return self._has_accepted("PACKED")

    def _has_accepted(self, name: str) -> bool:
        """Whether the driver has accepted the feature of this name."""
        status = self.qmp.run("x-query-virtio-status", path=f"{BALLOON}/virtio-backend")
        return any(name in feature for feature in status["guest-features"]["transports"])

    @property
    def balloon_size(self) -> int:
        """The balloon's size, as QEMU was told it."""
        return SIZE - int(self.qmp.run("query-balloon")["actual"])

    async def inflate_to(self, size: int) -> None:
        """Set the balloon's target, and return when it is reached."""
        self.qmp.run("balloon", value=SIZE - size)
        await until(lambda: self.balloon_size == size, within=SOON)

    async def statistics(self) -> dict[str, int]:
        """Return statistics that are newer than this call."""

        def poll(seconds: int) -> None:
            name = "guest-stats-polling-interval"
            self.qmp.run("qom-set", path=BALLOON, property=name, value=seconds)

        def get() -> dict[str, Any]:
            stats: dict[str, Any] = self.qmp.run("qom-get", path=BALLOON, property="guest-stats")
            return stats

        second = int(time.time())
        poll(0)
        poll(1)
        await until(lambda: get()["last-update"] > second, within=SOON)
        return dict(get()["stats"])

    async def has_free(self, size: int) -> bool:
        """Whether the guest has this much free memory."""
        return await self.counter("MemFree") >= size

    async def counter(self, name: str) -> int:
        """Return a line of /proc/meminfo, in bytes."""
        return (await self.guest.counters())["meminfo"][name]


Boot = Callable[..., Any]


@pytest.fixture
async def boot(run_directory: Path) -> AsyncIterator[Boot]:
    """Boot a guest that has our driver in one file."""
    machines: list[Machine] = []
    pyz = run_directory / "guest.pyz"
    runpy.run_path(str(Path(__file__).parents[2] / "tools/pyz.py"))["make"](pyz)

    async def start(balloon: str, python: GuestPython | None = None) -> Machine:
        guest = PythonGuest(
            "guest",
            size=SIZE,
            directory=run_directory,
            balloon=balloon,
            python=python,
            files={**package_files(python), PYZ.lstrip("/"): pyz.read_bytes()},
        )
        await guest.start()
        machines.append(Machine(guest))
        return machines[-1]

    yield start
    for machine in machines:
        machine.qmp.close()
        await machine.guest.kill()


@pytest.mark.statement(
    "ST-DRV-1", "DRV-STATS-2", "DRV-STATS-3", "DRV-OP-1", "DRV-OP-2", "DRV-OP-11"
)
@pytest.mark.parametrize(
    ("balloon", "options", "interface"),
    [
        pytest.param("deflate-on-oom=on", "", "modern", id="modern"),
        pytest.param("disable-modern=on", "", "legacy", id="legacy"),
        pytest.param("deflate-on-oom=on", "--legacy", "legacy", id="transitional"),
    ],
)
async def test_it_stands_in_for_the_kernel_s_driver(
    boot: Boot, balloon: str, options: str, interface: str
) -> None:
    machine = await boot(balloon)
    assert machine.kernel_drives
    await machine.drive(options)
    assert await machine.said(f"{interface} interface")
    assert not machine.kernel_drives

    before = await machine.statistics()
    await machine.inflate_to(64 * MIB)
    inflated = await machine.statistics()
    assert before["stat-free-memory"] - inflated["stat-free-memory"] > 62 * MIB
    total = before["stat-total-memory"] - inflated["stat-total-memory"]
    assert total == (0 if "deflate-on-oom" in balloon else 64 * MIB)
    assert before["stat-disk-caches"] + 4 * MIB > inflated["stat-disk-caches"]

    await machine.inflate_to(16 * MIB)
    await until(lambda: machine.has_free(inflated["stat-free-memory"] + 40 * MIB))

    await machine.guest.signal(machine.pid, "TERM")
    assert await machine.guest.ended(machine.pid) == 0
    assert machine.kernel_drives
    await machine.inflate_to(32 * MIB)
    assert (await machine.guest.run("cat /proc/sys/vm/nr_hugepages")).output == "0"


@pytest.mark.statement("PK-1", "PK-2")
async def test_it_runs_on_the_oldest_python_and_on_packed_rings(boot: Boot) -> None:
    with optional_part():
        python = GuestPython.unpacked(find_part("python3.9", "make lab-python39"))
    machine = await boot("deflate-on-oom=on,packed=on", python)
    assert (await machine.guest.run("python3 -V")).output.startswith("Python 3.9")
    await machine.drive()
    assert machine.has_packed_rings
    assert not machine.kernel_drives
    await machine.inflate_to(32 * MIB)
    assert (await machine.statistics())["stat-total-memory"] > 0
    await machine.inflate_to(0)


async def test_whoever_is_killed_the_kernel_has_its_device_and_memory_back(boot: Boot) -> None:
    machine = await boot("deflate-on-oom=off")
    free = await machine.counter("MemFree")
    await machine.drive()
    await machine.inflate_to(64 * MIB)

    # The host still wants its 64 MiB, and the kernel's driver is to give them again.
    await machine.guest.signal(await machine.child(), "KILL")
    assert await machine.guest.ended(machine.pid) == 1
    assert await machine.said("the worker was killed by SIGKILL")
    assert machine.kernel_drives
    await machine.inflate_to(0)
    await until(lambda: machine.has_free(free - 16 * MIB))

    await machine.drive()
    await machine.inflate_to(64 * MIB)
    worker = await machine.child()
    await machine.guest.signal(machine.pid, "KILL")
    await until(lambda: _gone(machine.guest, worker), within=SOON)
    assert machine.kernel_drives
    await machine.inflate_to(0)
    await until(lambda: machine.has_free(free - 16 * MIB))
    assert "BUG" not in (await machine.guest.run("dmesg")).output


async def _gone(guest: PythonGuest, pid: int) -> bool:
    return not await guest.running(pid)


@pytest.mark.statement("DRV-OP-5")
async def test_a_guest_that_needs_memory_gets_it_back_and_gives_it_again(boot: Boot) -> None:
    machine = await boot("deflate-on-oom=on")
    await machine.drive()
    available = await machine.counter("MemAvailable")
    await machine.inflate_to((available - 64 * MIB) // MIB * MIB)
    full = machine.balloon_size
    # As fast as it can be looked at: what takes all memory at once would be too fast.
    for _ in range(16):
        await machine.guest.fill(4 * MIB)
        await asyncio.sleep(0.3)
        if await machine.said("memory is short"):
            break
    await until(lambda: machine.balloon_size < full)

    assert (await machine.guest.counters())["vmstat"]["oom_kill"] == 0
    await machine.guest.free()
    await until(lambda: machine.balloon_size == full, within=SOON)


async def test_what_it_cannot_have_it_says(boot: Boot) -> None:
    machine = await boot("deflate-on-oom=on")
    run = machine.guest.run
    for arguments, status, words in (
        ("--dry-run", 0, "interface   modern"),
        ("--device 0000:00:1f.7", 3, "no virtio balloon at 0000:00:1f.7; there is: 0000:00:"),
        ("--frob", 2, "see --help"),
    ):
        ran = await run(f"python3 {PYZ} {arguments}")
        assert (ran.status, words in ran.output) == (status, True), ran.output
    await run("mkdir -p /etc && echo nobody:x:65534:65534::/:/bin/sh >>/etc/passwd")
    ran = await run(f"su -s /bin/sh nobody -c 'python3 {PYZ}'")
    assert (ran.status, "takes root" in ran.output) == (4, True), ran.output
    assert machine.kernel_drives


# Pins every second megabyte, frees some of the others, has the kernel compact what there is, and
# prints how many pinned pages have another frame now, and how many pages the kernel moved.
COMPACT = b"""\
import mmap
from pathlib import Path
from aerostat.guest.pagemap import Pagemap, address_of
from aerostat.guest.pins import UringPins
from aerostat.guest.procfs import parse_vmstat

SIZE = 1 << 20

def frames(areas):
    return [frame for area in areas for frame in pagemap.frames(address_of(area), SIZE // 4096)]

def moves():
    return parse_vmstat(Path("/proc/vmstat").read_text())["pgmigrate_success"]

pagemap, pins = Pagemap(), UringPins()
areas = [mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(128)]
for number, area in enumerate(areas):
    area.madvise(mmap.MADV_NOHUGEPAGE)
    if number % 2:
        assert pins.pin(number, address_of(area), SIZE)
    else:
        area[:] = bytes(SIZE)
before, moved = frames(areas[1::2]), moves()
for area in areas[::4]:
    area.madvise(mmap.MADV_DONTNEED)
for _ in range(3):
    Path("/proc/sys/vm/compact_memory").write_text("1")
print(sum(x != y for x, y in zip(before, frames(areas[1::2]))), moves() - moved)
"""


async def test_pinned_pages_stay_where_they_are(boot: Boot) -> None:
    machine = await boot("deflate-on-oom=on")
    await machine.guest.put("/compact.py", COMPACT)
    ran = await machine.guest.run("python3 /compact.py")
    assert ran.status == 0, ran.output
    pinned, any_at_all = map(int, ran.output.split())

    assert pinned == 0
    assert any_at_all > 0
