"""What an inflated page becomes on the host: a hole, and nothing beside it is touched.

The device runs in this process, in a thread, so that each request can be looked at before its
pages are punched and after. For that moment the guest is stopped: then nobody but the device
changes its memory, and all of it can be compared, page by page.
"""

import contextlib
import os
import signal
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aerostat.balloon.abi import PAGE_REPORTING, PAGE_SIZE, Queue
from aerostat.balloon.device import (
    DEFAULT_FEATURES,
    BalloonDevice,
    Deflate,
    Event,
    Inflate,
    Request,
)
from aerostat.testing.conformance.device_thread import serve_in_thread
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.polling import until
from aerostat.testing.processes.sessions import Session
from aerostat.units import MIB
from aerostat.virtio.features import bit
from aerostat.virtio.memory import Region

pytestmark = pytest.mark.uml

SIZE = 192 * MIB
BALLOON = 40 * MIB
# Linux gives 256 pages a request, so there are 40. Each of these is looked at with all of memory.
LOOK_AT_EVERY = 8
# What is left free when "all" is touched: the kernel kills before the last page is gone.
LEFT_FREE = 10 * MIB


class Look(NamedTuple):
    """What became of all of the guest's memory while one request was carried out."""

    asked: set[int]
    changed: set[int]


class ObservedDevice(BalloonDevice):
    """A balloon device that notes which pages the driver names, and takes looks at memory."""

    def __init__(self) -> None:
        # No reports of free pages: of those the balloon's are not to be told apart.
        super().__init__(features=DEFAULT_FEATURES & ~bit(PAGE_REPORTING))
        self.guest: Session | None = None
        self.inflated: list[int] = []
        self.deflated: list[int] = []
        self.looks: list[Look] = []
        self._requests = 0
        self._before: dict[int, int] | None = None

    @property
    def region(self) -> Region:
        """The guest's memory."""
        ring = self.ring(Queue.INFLATE)
        assert ring is not None
        (region,) = ring.memory.regions
        return region

    def service(self, queue: Queue, budget: int = 1) -> Iterator[Event]:
        """Note what is asked, before it is done."""
        for event in super().service(queue, budget):
            if isinstance(event, Inflate):
                self.inflated += self._pages(queue, event)
                if self._requests % LOOK_AT_EVERY == 0:
                    self._stop_guest()
                    self._before = checksums(self.region.file)
                self._requests += 1
            elif isinstance(event, Deflate):
                self.deflated += self._pages(queue, event)
            yield event

    def complete(self, event: Request) -> None:
        """Look at what was done, before the guest is told."""
        if self._before is not None and isinstance(event, Inflate):
            asked = set(self._pages(Queue.INFLATE, event))
            self.looks.append(Look(asked, differences(self._before, checksums(self.region.file))))
            self._before = None
            self._continue_guest()
        super().complete(event)

    def _pages(self, queue: Queue, event: Inflate | Deflate) -> list[int]:
        """Return the numbers of the pages in the file, as the driver wrote them down."""
        ring = self.ring(queue)
        assert ring is not None
        first = (self.region.file_offset - self.region.guest_address) // PAGE_SIZE
        payload = b"".join(ring.memory.read(*piece) for piece in event.chain.readable)
        return [first + pfn for (pfn,) in struct.iter_unpack("<I", payload)]

    def _stop_guest(self) -> None:
        assert self.guest is not None
        os.kill(self.guest.leader, signal.SIGSTOP)
        while any(state_of(pid) in "RD" for pid in self.guest.members()):
            pass

    def _continue_guest(self) -> None:
        assert self.guest is not None
        os.kill(self.guest.leader, signal.SIGCONT)


def state_of(pid: int) -> str:
    """Return the state of a process, as proc(5) has it; X once it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def extents(file: int) -> Iterator[tuple[int, int]]:
    """Give where memory of the file begins and ends, for each piece between two holes.

    The file is much larger than the guest: user-mode Linux begins it where its own program lies.
    """
    end = 0
    with contextlib.suppress(OSError):  # ENXIO: nothing but hole from here on
        while True:
            start = os.lseek(file, end, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
            yield start, end


def checksums(file: int) -> dict[int, int]:
    """Return the checksum of each page that the file has memory for."""
    found = {}
    for start, end in extents(file):
        data = memoryview(os.pread(file, end - start, start))
        for at in range(0, len(data), PAGE_SIZE):
            found[(start + at) // PAGE_SIZE] = zlib.crc32(data[at : at + PAGE_SIZE])
    return found


def differences(before: dict[int, int], after: dict[int, int]) -> set[int]:
    """Return the pages whose checksums are not the same; a hole reads as zeros."""
    zeros = zlib.crc32(bytes(PAGE_SIZE))
    pages = before.keys() | after.keys()
    return {page for page in pages if before.get(page, zeros) != after.get(page, zeros)}


def allocated(file: int) -> set[int]:
    """Return the pages that the file has memory for."""
    return {
        page for start, end in extents(file) for page in range(start // PAGE_SIZE, end // PAGE_SIZE)
    }


@pytest.fixture
def device() -> ObservedDevice:
    return ObservedDevice()


@pytest.fixture
async def control(device: ObservedDevice, run_directory: Path) -> AsyncIterator[ControlClient]:
    async with serve_in_thread(device, size=SIZE, directory=run_directory) as served:
        yield served.control


@pytest.fixture
async def guest(
    device: ObservedDevice, control: ControlClient, run_directory: Path
) -> AsyncIterator[UmlGuest]:
    socket = run_directory / "guest.vhost"
    guest = UmlGuest("guest", size=SIZE, directory=run_directory, device_socket=socket)
    await guest.start()
    assert guest.pid is not None
    device.guest = Session.of(guest.pid)
    yield guest
    await guest.stop()


async def set_size(control: ControlClient, size: int) -> None:
    control.run("balloon", value=size)
    await until(lambda: bool(control.run("query-balloon")["actual"] == size), within=60)


async def touch_all(guest: UmlGuest, worker: str) -> int:
    """Have the guest fill and check nearly all that is free; return how much that was."""
    await guest.command("hold", worker=worker, size=0)  # what the worker itself needs comes first
    free = (await guest.counters())["meminfo"]["MemFree"] - LEFT_FREE
    held = (await guest.command("hold", worker=worker, size=free))["held"]
    assert (await guest.command("check", worker=worker))["damaged"] == 0
    return int(held)


async def test_inflated_pages_are_holes_and_all_others_are_as_they_were(
    guest: UmlGuest, control: ControlClient, device: ObservedDevice
) -> None:
    await guest.command("hold", worker="kept", size=16 * MIB)
    written = await guest.command("write_file", worker="kept", name="file", size=8 * MIB, seed=7)
    touched = await touch_all(guest, "touched")
    await guest.command("end_worker", name="touched")
    assert touched > BALLOON
    held = control.sample()["held"]
    assert held > SIZE - 3 * LEFT_FREE, "the host does not hold what the guest touched"

    file = device.region.file
    there_before = allocated(file)
    await set_size(control, SIZE - BALLOON)
    balloon = set(device.inflated)
    assert len(balloon) == len(device.inflated) == BALLOON // PAGE_SIZE
    assert not device.deflated
    there = allocated(file)
    assert not balloon & there, "pages of the balloon that are no holes"
    assert there_before - there <= balloon, "holes that are no pages of the balloon"
    for look in device.looks:
        assert look.changed <= look.asked
    assert len(device.looks) == -(-BALLOON // MIB // LOOK_AT_EVERY)
    assert any(look.changed for look in device.looks), "nothing was in the pages taken"
    assert held - control.sample()["held"] > BALLOON - 8 * MIB
    assert (await guest.command("check", worker="kept"))["damaged"] == 0
    assert (await guest.command("checksum", worker="kept", name="file"))["checksum"] == written[
        "checksum"
    ]

    await set_size(control, SIZE)
    assert sorted(device.deflated) == sorted(device.inflated)
    assert await touch_all(guest, "again") > touched - BALLOON // 2
    assert balloon & there_before <= allocated(file)
    assert (await guest.command("check", worker="kept"))["damaged"] == 0
    assert (await guest.command("checksum", worker="kept", name="file"))["checksum"] == written[
        "checksum"
    ]
