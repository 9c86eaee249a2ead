"""Memory tables that change while a guest runs, region by region."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, USER_BASE, SharedFile
from aerostat.testing.mocks.guest import MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import ProtocolFeature, RegionDescription, Request

KIB = 1 << 10
RINGS = 4 * PAGE_SIZE
# As many regions as there may be: each of 256 KiB, with as much between two of them.
REGION = 256 * KIB
SPANS = tuple((n * 2 * REGION, REGION) for n in range(messages.MAX_SLOTS))
SLOTS = PROTOCOL_FEATURES | 1 << ProtocolFeature.CONFIGURE_MEM_SLOTS


@pytest.fixture
def memory() -> Iterator[SharedFile]:
    memory = SharedFile(SPANS)
    yield memory
    memory.close()


@pytest.fixture
def guest(device: DeviceProcess, memory: SharedFile) -> Iterator[MockGuest]:
    guest = MockGuest(str(device.socket), memory, RINGS, protocol_features=SLOTS)
    yield guest
    guest.close()


def change(guest: MockGuest, request: Request, region: RegionDescription) -> bool:
    descriptors = [guest.memory.descriptor] if request is Request.ADD_MEM_REG else []
    return guest.frontend.request(request, messages.encode_region(region), descriptors)


def inflate_every_region(guest: MockGuest) -> list[int]:
    """Fill the last page of each region, inflate it, and return which regions gave it."""
    pages = [(address + size) // PAGE_SIZE - 1 for address, size in SPANS]
    for page in pages:
        guest.memory.memory.write(page * PAGE_SIZE, b"x" * PAGE_SIZE)
    guest.balloon(Queue.INFLATE, pages)
    return [
        number
        for number, page in enumerate(pages)
        if guest.memory.memory.read(page * PAGE_SIZE, PAGE_SIZE) == bytes(PAGE_SIZE)
    ]


def mapped(device: DeviceProcess) -> int:
    """Return how many mappings of guest memory the device has."""
    maps = Path(f"/proc/{device.pid}/maps").read_text().count("memfd:guest")
    files = [str(entry.readlink()) for entry in Path(f"/proc/{device.pid}/fd").iterdir()]
    # Python's mmap keeps a descriptor of its own beside ours.
    assert sum("memfd:guest" in name for name in files) == 2 * maps
    return maps


def test_32_regions_are_served(guest: MockGuest, device: DeviceProcess) -> None:
    assert inflate_every_region(guest) == list(range(32))
    assert mapped(device) == 32


def test_a_33rd_region_is_refused(guest: MockGuest) -> None:
    one_more = RegionDescription(64 * 2 * REGION, REGION, 64 * 2 * REGION, 0)
    assert not change(guest, Request.ADD_MEM_REG, one_more)
    assert inflate_every_region(guest) == list(range(32))


def test_a_region_goes_while_rings_run_and_comes_back(
    guest: MockGuest, device: DeviceProcess, control: ControlClient
) -> None:
    guest.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    region = guest.memory.descriptions[7]
    # The place in the file says nothing when a region goes.
    assert change(guest, Request.REM_MEM_REG, region._replace(file_offset=12345))
    assert not change(guest, Request.REM_MEM_REG, region)
    assert mapped(device) == 31
    assert inflate_every_region(guest) == [n for n in range(32) if n != 7]
    assert change(guest, Request.ADD_MEM_REG, region)
    assert inflate_every_region(guest) == list(range(32))
    sample = control.start("aerostat-sample", timeout=5)  # the held buffer is held still
    guest.wait_for(Queue.STATS)
    guest.send_statistics(free_memory=2)
    assert control.finish(sample)["stats"]["stat-free-memory"] == 2
    assert mapped(device) == 32


def test_what_is_no_region_cannot_go(guest: MockGuest) -> None:
    region = guest.memory.descriptions[7]
    for wrong in (
        {"guest_address": 1},
        {"user_address": 2 * REGION},
        {"size": REGION - PAGE_SIZE},
    ):
        assert not change(guest, Request.REM_MEM_REG, region._replace(**wrong))
    assert inflate_every_region(guest) == list(range(32))


def test_a_region_that_cannot_be_is_refused_and_the_others_stay(guest: MockGuest) -> None:
    region = guest.memory.descriptions[7]
    assert change(guest, Request.REM_MEM_REG, region)
    for wrong in (
        {"guest_address": 6 * 2 * REGION + PAGE_SIZE},  # overlaps another
        {"user_address": USER_BASE},
        {"file_offset": len(SPANS) * REGION},  # beyond the file
        {"size": 0},
    ):
        assert not change(guest, Request.ADD_MEM_REG, region._replace(**wrong))
    assert inflate_every_region(guest) == [n for n in range(32) if n != 7]


def test_the_region_with_the_rings_cannot_go_under_them(guest: MockGuest) -> None:
    region = guest.memory.descriptions[0]
    assert not change(guest, Request.REM_MEM_REG, region)
    bases = guest.stop()
    assert change(guest, Request.REM_MEM_REG, region)
    assert change(guest, Request.ADD_MEM_REG, region)
    guest.frontend.choose(guest.frontend.features)
    guest.start(bases)
    assert inflate_every_region(guest) == list(range(32))


def test_all_memory_may_go_and_come_back(guest: MockGuest, control: ControlClient) -> None:
    bases = guest.stop()
    for region in guest.memory.descriptions:
        assert change(guest, Request.REM_MEM_REG, region)
    assert control.sample(timeout=0)["held"] == 0
    for region in reversed(guest.memory.descriptions):
        assert change(guest, Request.ADD_MEM_REG, region)
    assert control.sample(timeout=0)["held"] == guest.memory.held
    guest.frontend.choose(guest.frontend.features)
    guest.start(bases)
    assert inflate_every_region(guest) == list(range(32))
