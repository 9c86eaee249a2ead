"""A guest without a VM on a real device process: its whole life, and what the device sees."""

from collections.abc import Callable
from typing import Any

import pytest

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    FREE_PAGE_HINT,
    PAGE_POISON,
    PAGE_REPORTING,
    PAGE_SIZE,
    STATS_VQ,
)
from aerostat.balloon.driver_features import DEFAULT_FEATURES, FEATURES_OF_2009, KNOWN_FEATURES
from aerostat.balloon.statistics import Tag
from aerostat.process_guest.interface import MAX_QUEUE_SIZE, RESERVED_SIZE, DriverOptions, State
from aerostat.testing.mocks.still_guest import StillGuest
from aerostat.virtio.features import bit, has

MIB = 1 << 20
SIZE = 128 * MIB
FIGURES = {"stat-free-memory": 1 << 20, "stat-total-memory": 1 << 30, "unknown": {}}

Device = Any  # of conftest, which cannot be imported
PlugIn = Callable[..., StillGuest]


@pytest.fixture
def guest(device: Device, plug_in: PlugIn) -> StillGuest:
    guest = plug_in(device.process.socket)
    guest.link.wait_for(State.RUNNING, 10)
    return guest


def sample(device: Device, guest: StillGuest) -> dict[str, Any]:
    """Have the device ask the guest for statistics, and return what comes of it."""
    sent = guest.link.counters["statistics"]
    asked = device.control.start("aerostat-sample", timeout=10)
    guest.run_until(lambda: guest.link.counters["statistics"] > sent)
    answer: dict[str, Any] = device.control.finish(asked)
    assert answer["fresh"]
    return answer


def set_target(device: Device, guest: StillGuest, size: int) -> None:
    """Ask the guest to make do with `size`, and wait until it does and the device knows."""
    device.control.run("balloon", value=size)
    settle(guest, SIZE - size)
    guest.run_until(lambda: device.control.run("query-balloon")["actual"] == size)


def settle(guest: StillGuest, balloon_size: int) -> None:
    guest.run_until(lambda: guest.link.balloon_size == balloon_size)


def pages_of(guest: StillGuest) -> set[int]:
    return {*range(SIZE // PAGE_SIZE)} - {*guest.kernel.free}


# ---- hints


@pytest.mark.slow
@pytest.mark.statement("DRV-HINT-4", "DRV-HINT-10", "CFG-G-2")
def test_a_guest_tells_what_is_free_and_has_it_again(
    start_device: Callable[..., Device], plug_in: PlugIn
) -> None:
    device = start_device("guest", "--free-page-hint")
    options = DriverOptions(features=DEFAULT_FEATURES | bit(FREE_PAGE_HINT))
    guest = plug_in(device.process.socket, options)
    guest.link.wait_for(State.RUNNING, 10)
    free = sorted(guest.kernel.free)[-2000:]
    del guest.kernel.free[:-2000]
    for _ in range(2):
        asked = device.control.start("aerostat-hint", ranges=True)
        guest.run_until(lambda: not guest.kernel.free)
        guest.run_until(lambda: len(guest.kernel.free) == 2000)
        answer = device.control.finish(asked)
        assert answer["complete"]
        assert answer["ranges"] == [[free[0] * PAGE_SIZE, 2000 * PAGE_SIZE]]
    assert sorted(guest.kernel.free) == free


# ---- statistics


@pytest.mark.statement("DRV-STATS-2", "DRV-STATS-3", "DEV-STATS-3")
def test_each_sample_is_one_answer_of_the_driver(device: Device, guest: StillGuest) -> None:
    assert guest.link.counters["statistics"] == 1
    for free in (7, 8):
        guest.kernel.figures = {Tag.FREE_MEMORY: free, Tag.TOTAL_MEMORY: 1 << 30}
        assert sample(device, guest)["stats"] == FIGURES | {"stat-free-memory": free}
    assert guest.link.counters["statistics"] == 3


@pytest.mark.statement("DEV-STATS-1", "DEV-STATS-2")
def test_figures_that_nobody_knows_are_no_matter(device: Device, plug_in: PlugIn) -> None:
    guest = plug_in(device.process.socket)
    guest.kernel.figures = {1000: 1, Tag.SWAP_OUT: 2, 16: 3, Tag.SWAP_IN: 4}
    guest.link.wait_for(State.RUNNING, 10)
    stats = {"stat-swap-in": 4, "stat-swap-out": 2, "unknown": {"1000": 1, "16": 3}}
    assert sample(device, guest)["stats"] == stats


# ---- pages


@pytest.mark.statement("DRV-OP-1", "DRV-OP-2", "DRV-OP-11", "DEV-OP-3")
def test_what_is_inflated_is_the_hosts_and_comes_back_empty(
    device: Device, guest: StillGuest
) -> None:
    guest.memory.memory.write(64 * MIB, b"\xa5" * (64 * MIB))
    before = guest.memory.held
    set_target(device, guest, 64 * MIB)
    assert before - guest.memory.held == 64 * MIB
    given = pages_of(guest) - {*range(RESERVED_SIZE // PAGE_SIZE)}
    holes = {
        pfn
        for start, length in guest.memory.holes()
        for pfn in range(start // PAGE_SIZE, (start + length) // PAGE_SIZE)
    }
    assert given <= holes
    assert len(given) == 64 * MIB // PAGE_SIZE
    set_target(device, guest, SIZE)
    assert set(guest.kernel.given_back) == given
    assert not any(guest.memory.memory.read(64 * MIB, 64 * MIB))


def test_a_kernel_that_has_nothing_to_give_is_asked_again(
    device: Device, guest: StillGuest
) -> None:
    kept, guest.kernel.free = guest.kernel.free, []
    device.control.run("balloon", value=SIZE - MIB)
    guest.run_until(lambda: guest.link.counters["out_of_pages"] > 0)
    assert guest.link.balloon_size == 0
    guest.kernel.free = kept
    settle(guest, MIB)


@pytest.mark.statement("DRV-OP-5")
def test_memory_that_is_missed_comes_back_before_its_time(
    device: Device, guest: StillGuest
) -> None:
    set_target(device, guest, SIZE - MIB)
    assert guest.link.driver is not None
    assert has(guest.link.driver.features, DEFLATE_ON_OOM)
    guest.link.relieve(16)
    guest.run_until(lambda: len(guest.kernel.given_back) == 16)
    guest.run_until(
        lambda: device.control.run("query-balloon")["actual"] == SIZE - MIB + 16 * PAGE_SIZE
    )


@pytest.mark.statement("DEV-REP-1")
def test_what_is_reported_is_the_hosts(device: Device, plug_in: PlugIn) -> None:
    features = DEFAULT_FEATURES | bit(PAGE_REPORTING)
    guest = plug_in(device.process.socket, DriverOptions(features))
    guest.link.wait_for(State.RUNNING, 10)
    guest.memory.memory.write(64 * MIB, b"\xa5" * (8 * MIB))
    before = guest.memory.held
    ranges = [(64 * MIB, 4 * MIB), (70 * MIB, 2 * MIB)]
    assert guest.link.report(ranges)
    guest.run_until(lambda: guest.kernel.seen == ranges)
    assert before - guest.memory.held == 6 * MIB
    assert guest.memory.memory.read(68 * MIB, 2 * MIB) == b"\xa5" * (2 * MIB)


@pytest.mark.statement("DRV-POISON-2", "CFG-G-5", "DEV-REP-2")
def test_what_would_lose_its_poison_is_left_alone(device: Device, plug_in: PlugIn) -> None:
    features = DEFAULT_FEATURES | bit(PAGE_REPORTING) | bit(PAGE_POISON)
    guest = plug_in(device.process.socket, DriverOptions(features, poison=0xAAAAAAAA))
    guest.link.wait_for(State.RUNNING, 10)
    guest.memory.memory.write(64 * MIB, b"\xaa" * MIB)
    assert guest.link.report([(64 * MIB, MIB)])
    guest.run_until(lambda: bool(guest.kernel.seen))
    assert guest.memory.memory.read(64 * MIB, MIB) == b"\xaa" * MIB
    assert sample(device, guest)["counters"]["kept_reports"] == 1


# ---- memory of several pieces


@pytest.mark.parametrize("count", [3, 32])
def test_memory_may_be_in_pieces(device: Device, plug_in: PlugIn, count: int) -> None:
    piece = 2 * MIB
    spans = tuple((number * 2 * piece, piece) for number in range(count))
    guest = plug_in(device.process.socket, DriverOptions(), spans, offset=MIB)
    guest.link.wait_for(State.RUNNING, 10)
    last, before_it = spans[-1][0], spans[-2][0]
    guest.memory.memory.write(last, b"\xa5" * piece)
    guest.memory.memory.write(before_it, b"\xa5" * piece)
    held = guest.memory.held
    device.control.run("balloon", value=SIZE - piece)
    settle(guest, piece)
    assert held - guest.memory.held == piece
    assert not any(guest.memory.memory.read(last, piece))
    assert guest.memory.memory.read(before_it, piece) == b"\xa5" * piece


# ---- pause, reset, drivers that come and go


def test_a_pause_loses_nothing(device: Device, guest: StillGuest) -> None:
    set_target(device, guest, SIZE - MIB)
    for target in (SIZE - 2 * MIB, SIZE):
        guest.link.pause()
        guest.link.wait_for(State.PAUSED, 10)
        device.control.run("balloon", value=target)
        guest.link.resume()
        settle(guest, SIZE - target)
        assert sample(device, guest)["stats"] == FIGURES
    assert guest.link.counters["unexpected_bases"] == 0


def test_after_a_reset_the_balloon_is_the_guests_and_is_filled_again(
    device: Device, guest: StillGuest
) -> None:
    set_target(device, guest, SIZE - MIB)
    first = pages_of(guest)
    guest.link.reset()
    guest.run_until(lambda: set(guest.kernel.given_back) <= first and not guest.link.balloon_size)
    settle(guest, MIB)
    assert sample(device, guest)["stats"] == FIGURES


def test_another_driver_may_follow(device: Device, guest: StillGuest) -> None:
    set_target(device, guest, SIZE - MIB)
    guest.link.unload()
    guest.link.wait_for(State.UNLOADED, 10)
    assert guest.link.driver is None
    # The device has forgotten the driver, and what that said of the balloon.
    guest.run_until(lambda: device.control.run("query-balloon")["actual"] == SIZE)
    assert len(guest.kernel.given_back) == MIB // PAGE_SIZE
    # All there is but statistics, on the largest rings.
    guest.link.load(DriverOptions(KNOWN_FEATURES & ~bit(STATS_VQ), queue_size=MAX_QUEUE_SIZE))
    settle(guest, MIB)
    guest.link.pause()
    guest.link.wait_for(State.PAUSED, 10)
    guest.link.unload()
    guest.link.load(DriverOptions())
    guest.link.wait_for(State.RUNNING, 10)
    assert sample(device, guest)["stats"] == FIGURES


# ---- the peer of 2009


@pytest.mark.statement("LEG-STATS-1", "LEG-CFG-1", "LEG-FEAT-1", "LEG-VQ-2", "LEG-STATS-2")
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_guest_of_2009_is_served_in_its_own_byte_order(
    device: Device, plug_in: PlugIn, byteorder: Any
) -> None:
    options = DriverOptions(FEATURES_OF_2009, byteorder, "uninitialised")
    guest = plug_in(device.process.socket, options)
    guest.link.wait_for(State.RUNNING, 10)
    assert guest.link.driver is not None
    assert guest.link.driver.features == FEATURES_OF_2009
    set_target(device, guest, SIZE - 4 * MIB)
    assert sample(device, guest)["stats"] == FIGURES
    guest.link.pause()
    guest.link.wait_for(State.PAUSED, 10)
    guest.link.resume()
    guest.link.wait_for(State.RUNNING, 10)
    assert sample(device, guest)["stats"] == FIGURES
    assert guest.link.counters["unexpected_bases"] == 0
