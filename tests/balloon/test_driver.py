"""The balloon driver, with its device in the test's hands."""

from collections.abc import Callable
from struct import unpack

import pytest

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    PAGE_REPORTING,
    Queue,
)
from aerostat.balloon.driver import BalloonDriver
from aerostat.balloon.driver_events import (
    Deflated,
    DeviceBroken,
    Inflated,
    Reported,
)
from aerostat.balloon.driver_features import DEFAULT_FEATURES, KNOWN_FEATURES
from aerostat.errors import UsageError
from aerostat.testing.conformance.driver_bench import PAGES_AT, STATISTICS, DriverBench
from aerostat.virtio.features import RING_INDIRECT_DESC, VERSION_1, bit
from aerostat.virtio.memory import Byteorder

LEGACY = DEFAULT_FEATURES & ~bit(VERSION_1)
MIB = 1 << 20
ORDERS: list[Byteorder] = ["little", "big"]


@pytest.fixture
def bench() -> DriverBench:
    """Return a driver at work, with the default features."""
    bench = DriverBench(DEFAULT_FEATURES)
    bench.begin()
    bench.driver.take_config_writes()
    bench.driver.take_notifications()
    return bench


def le32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def asked(bench: DriverBench, queue: Queue) -> list[int]:
    """Take the next request off `queue`; return its page numbers."""
    payload = bench.take(queue)
    assert payload is not None
    return list(unpack(f"<{len(payload) // 4}I", payload))


# From the beginning to DRIVER_OK


@pytest.mark.statement("ST-DRV-3", "DRV-STATS-2", "DRV-POISON-2")
def test_what_comes_before_driver_ok_and_what_after() -> None:
    """Poison value and first statistics buffer before, the first notification after."""
    bench = DriverBench(KNOWN_FEATURES)
    driver = bench.driver
    driver.begin(STATISTICS, poison=0xAABBCCDD)
    assert driver.take_notifications() == []
    assert driver.take_config_writes() == [(12, bytes.fromhex("ddccbbaa"))]
    assert bench.ends[Queue.STATS].pending == 1
    driver.ready()
    assert driver.take_notifications() == [Queue.STATS]
    assert driver.take_notifications() == []
    assert driver.take_config_writes() == [(4, le32(0))]  # whatever an earlier driver left there


@pytest.mark.statement("DRV-POISON-2")
def test_driver_ok_waits_for_the_poison_value_to_be_written() -> None:
    driver = DriverBench(KNOWN_FEATURES).driver
    driver.begin(STATISTICS, poison=1)
    with pytest.raises(UsageError, match="before DRIVER_OK"):
        driver.ready()


@pytest.mark.statement("DRV-POISON-3", "CFG-2", "LEG-OP-2")
def test_the_only_writes_at_work_are_of_actual_each_of_four_bytes() -> None:
    bench = DriverBench(KNOWN_FEATURES)
    bench.begin(poison=7)
    driver = bench.driver
    driver.config_changed(300)
    writes = driver.take_config_writes()
    for count in (256, 44):
        bench.inflate_through(count)
        writes += driver.take_config_writes()
    driver.config_changed(0)
    driver.deflate(256)
    bench.take(Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    writes += driver.take_config_writes()
    assert writes == [(4, le32(size)) for size in (0, 256, 300, 44)]


@pytest.mark.parametrize("poison", [None, -1, 1 << 32])
def test_poison_takes_a_value_if_it_was_negotiated(poison: int | None) -> None:
    driver = DriverBench(KNOWN_FEATURES).driver
    with pytest.raises(UsageError, match="PAGE_POISON"):
        driver.begin(STATISTICS, poison=poison)


@pytest.mark.statement("CFG-G-2")
def test_poison_counts_only_if_it_was_negotiated(bench: DriverBench) -> None:
    driver = DriverBench(DEFAULT_FEATURES).driver
    driver.begin(STATISTICS, poison=5)
    assert driver.poison is None
    assert driver.take_config_writes() == []


def test_calls_out_of_place_are_refused() -> None:
    driver = BalloonDriver(0)
    calls: list[Callable[[], object]] = [
        lambda: driver.begin({}),
        driver.ready,
        lambda: driver.inflate([1]),
        lambda: driver.report([(0, 4096)]),
        lambda: driver.send_statistics(STATISTICS),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="the driver is new"):
            call()
    bench = DriverBench(0)
    bench.begin()
    with pytest.raises(UsageError, match="the driver is running"):
        bench.driver.begin({})
    bench.driver.stop()
    with pytest.raises(UsageError, match="the driver has stopped"):
        bench.driver.inflate([1])
    assert bench.driver.wanted == 0
    assert bench.driver.service(Queue.INFLATE) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"features": bit(6)},
        {"features": bit(29)},
        {"features": 0, "page_size": 2048},
        {"features": 0, "page_size": 12288},
        {"features": 0, "page_size": 65536, "batch": 15},
        {"features": DEFAULT_FEATURES, "statistics_first": "uninitialised"},
    ],
)
def test_drivers_that_cannot_be(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        BalloonDriver(**arguments)  # type: ignore[arg-type]


def test_rings_and_room_must_be_what_the_features_need() -> None:
    bench = DriverBench(DEFAULT_FEATURES)
    driver = BalloonDriver(DEFAULT_FEATURES)
    with pytest.raises(UsageError, match="STATS"):
        driver.attach(bench.memory, {}, bench.arena, driver.arena_size)
    with pytest.raises(UsageError, match="no arena"):
        driver.attach(bench.memory, bench.rings, bench.arena, driver.arena_size - 1)
    with pytest.raises(UsageError, match="no arena"):
        driver.attach(bench.memory, bench.rings, bench.arena + 4, driver.arena_size)
    driver.attach(bench.memory, bench.rings, bench.arena, driver.arena_size)


@pytest.mark.parametrize("features", [0, DEFAULT_FEATURES, KNOWN_FEATURES])
def test_the_driver_writes_nothing_but_its_rings_and_its_arena(features: int) -> None:
    bench = DriverBench(features, size=64)
    driver = bench.driver
    end = bench.arena + driver.arena_size
    bench.memory.write(end, b"\xee" * 64)
    bench.begin(dict.fromkeys(range(64), 1), poison=3)
    driver.config_changed(256)
    bench.inflate_through(256)
    driver.report([(PAGES_AT + n * 8192, 4096) for n in range(driver.report_room)])
    assert bench.memory.read(end, 64) == b"\xee" * 64
    assert not any(bench.memory.read(PAGES_AT, 1 << 20))


# Inflating


@pytest.mark.statement("DRV-OP-1", "DRV-OP-11", "DRV-OP-13")
def test_inflating_towards_the_target(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(300)
    assert driver.wanted == 300
    pages = bench.inflate(256)
    assert driver.take_notifications() == [Queue.INFLATE]
    assert asked(bench, Queue.INFLATE) == pages
    assert (driver.wanted, driver.actual, driver.take_config_writes()) == (0, 0, [])
    assert bench.give_back(Queue.INFLATE) == [Inflated(pages)]
    assert (driver.wanted, driver.actual, driver.balloon_size) == (44, 256, MIB)
    assert driver.take_config_writes() == [(4, le32(256))]
    bench.inflate_through(44)
    assert (driver.wanted, driver.actual, driver.held_pages) == (0, 300, 300)


@pytest.mark.statement("DRV-OP-12")
def test_several_changes_may_be_told_at_once(bench: DriverBench) -> None:
    bench.driver.config_changed(30)
    bench.inflate_through(10)
    bench.inflate_through(20)
    assert bench.driver.take_config_writes() == [(4, le32(30))]
    assert bench.driver.take_config_writes() == []


@pytest.mark.statement("DRV-OP-14")
def test_no_page_is_given_twice(bench: DriverBench) -> None:
    """Not twice in a request, nor while on its way, in the balloon, or on its way back."""
    driver = bench.driver
    driver.config_changed(100)
    with pytest.raises(UsageError, match="page 7 was given"):
        driver.inflate([6, 7, 7])
    driver.inflate([6, 7])  # the refused request left nothing behind
    asked(bench, Queue.INFLATE)
    bench.give_back(Queue.INFLATE)
    with pytest.raises(UsageError, match="page 6 was given"):
        driver.inflate([5, 6])
    driver.relieve(1)
    with pytest.raises(UsageError, match="page 7 was given"):
        driver.inflate([7])
    asked(bench, Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    driver.inflate([7])
    assert driver.stop() == [6, 7]


def test_one_request_at_a_time_of_no_more_pages_than_fit(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(1000)
    with pytest.raises(UsageError, match="257 in one request"):
        driver.inflate(range(257))
    driver.inflate([])
    driver.inflate([1])
    with pytest.raises(UsageError, match="INFLATE queue has a request"):
        driver.inflate([2])
    assert asked(bench, Queue.INFLATE) == [1]


@pytest.mark.parametrize("page", [-1, 0xFFFFFFFF // 4 + 1])
def test_page_numbers_end_at_16_tib(page: int) -> None:
    bench = DriverBench(DEFAULT_FEATURES, page_size=16384)
    bench.begin()
    with pytest.raises(UsageError, match="16 TiB"):
        bench.driver.inflate([page])
    bench.driver.inflate([0xFFFFFFFF // 4])
    assert asked(bench, Queue.INFLATE)[-1] == 0xFFFFFFFF


# Deflating


@pytest.mark.statement("DRV-OP-2", "DRV-OP-6", "DRV-OP-7")
def test_deflating_last_in_first_out_and_not_before_the_device_answers() -> None:
    """Told to the device, and the caller's only when it has answered."""
    bench = DriverBench(KNOWN_FEATURES & ~bit(RING_INDIRECT_DESC))
    bench.begin(poison=0x11)
    driver = bench.driver
    driver.config_changed(10)
    pages = bench.inflate_through(10)
    driver.config_changed(7)
    assert driver.wanted == -3
    back = driver.deflate(2)
    assert back == [pages[9], pages[8]]
    assert Queue.DEFLATE in driver.take_notifications()
    assert asked(bench, Queue.DEFLATE) == back
    assert driver.service(Queue.DEFLATE) == []
    assert (driver.actual, driver.wanted) == (10, 0)
    driver.take_config_writes()
    assert bench.give_back(Queue.DEFLATE) == [Deflated(back)]
    assert driver.poison == 0x11
    assert (driver.actual, driver.wanted) == (8, -1)
    assert driver.take_config_writes() == [(4, le32(8))]


@pytest.mark.statement("DRV-OP-4")
def test_no_page_comes_back_that_the_target_keeps(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(10)
    bench.inflate_through(10)
    assert driver.deflate(5) == []
    driver.config_changed(9)
    assert len(driver.deflate(5)) == 1
    assert len(asked(bench, Queue.DEFLATE)) == 1


@pytest.mark.statement("DRV-OP-4", "DRV-OP-10")
def test_what_is_not_acknowledged_is_not_asked_back(bench: DriverBench) -> None:
    """Nor is anything in its stead: the balloon is not larger than its target yet."""
    driver = bench.driver
    driver.config_changed(20)
    old = bench.inflate_through(8)
    new = bench.inflate(12)
    driver.config_changed(10)
    assert driver.wanted == 0
    assert driver.deflate(100) == []
    driver.config_changed(5)
    assert driver.wanted == 0 - 3
    assert driver.deflate(100) == old[:4:-1]
    asked(bench, Queue.INFLATE)
    bench.give_back(Queue.INFLATE)
    asked(bench, Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    assert driver.deflate(100) == new[::-1]


def test_the_target_may_change_its_mind_while_requests_are_out(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(0xFFFFFFFF)
    assert driver.wanted == 0xFFFFFFFF
    bench.inflate_through(4)
    driver.config_changed(0)
    back = driver.deflate(4)
    driver.config_changed(2)
    assert driver.wanted == 2  # those on their way back are gone
    bench.inflate(2)
    asked(bench, Queue.DEFLATE)
    assert bench.give_back(Queue.DEFLATE) == [Deflated(back)]
    asked(bench, Queue.INFLATE)
    bench.give_back(Queue.INFLATE)
    assert (driver.actual, driver.wanted) == (2, 0)


@pytest.mark.statement("DRV-OP-5")
def test_want_of_memory_takes_pages_back_whatever_the_target() -> None:
    bench = DriverBench(DEFAULT_FEATURES)
    bench.begin()
    driver = bench.driver
    driver.config_changed(10)
    pages = bench.inflate_through(10)
    driver.take_config_writes()
    assert driver.relieve(3) == pages[:6:-1]
    assert driver.relieve(3) == []  # one request at a time
    asked(bench, Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    assert driver.take_config_writes() == [(4, le32(7))]
    assert driver.wanted == 0  # not at once back into what it came from
    driver.config_changed(10)
    assert driver.wanted == 3


@pytest.mark.statement("DRV-OP-4")
def test_without_deflate_on_oom_want_of_memory_is_no_reason() -> None:
    bench = DriverBench(DEFAULT_FEATURES & ~bit(DEFLATE_ON_OOM))
    bench.begin()
    bench.driver.config_changed(10)
    bench.inflate_through(5)
    assert bench.driver.relieve(3) == []
    assert bench.take(Queue.DEFLATE) is None
    assert bench.driver.wanted == 5


def test_leaving_empties_the_balloon_whatever_the_device_says(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(300)
    bench.inflate_through(256)
    driver.leave()
    driver.config_changed(400)
    assert driver.wanted == -256
    driver.deflate(1000)
    asked(bench, Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    assert (driver.wanted, driver.actual) == (0, 0)


def test_after_a_reset_everything_is_the_guests_again(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(10)
    inside = bench.inflate_through(6)
    driver.relieve(2)
    driver.config_changed(10)
    going = bench.inflate(2)
    assert driver.stop() == inside + going
    assert driver.stop() == []
    with pytest.raises(ValueError, match="released"):
        bench.rings[Queue.INFLATE].collect()


# Larger pages of the guest's


@pytest.mark.statement("DRV-OP-13")
def test_a_large_page_is_several_and_the_target_is_rounded_up() -> None:
    bench = DriverBench(DEFAULT_FEATURES, page_size=65536)
    bench.begin()
    driver = bench.driver
    assert driver.pages_per_request == 16
    driver.config_changed(17)
    assert driver.wanted == 2
    driver.inflate([3, 9])
    assert asked(bench, Queue.INFLATE) == [*range(48, 64), *range(144, 160)]
    bench.give_back(Queue.INFLATE)
    assert (driver.actual, driver.held_pages, driver.balloon_size) == (32, 2, 131072)
    driver.config_changed(1)
    assert driver.deflate(5) == [9]
    assert asked(bench, Queue.DEFLATE) == [*range(144, 160)]
    bench.give_back(Queue.DEFLATE)
    assert driver.wanted == 0
    driver.config_changed(0)
    assert driver.wanted == -1


def test_a_target_of_all_that_there_is() -> None:
    bench = DriverBench(DEFAULT_FEATURES, page_size=65536)
    bench.begin()
    bench.driver.config_changed(0xFFFFFFFF)
    assert bench.driver.wanted == 0x10000000


# Free page reporting


@pytest.mark.statement("DRV-REP-4")
def test_free_pages_are_reported_and_then_the_guests_again() -> None:
    bench = DriverBench(DEFAULT_FEATURES | bit(PAGE_REPORTING), size=64)
    driver = bench.driver
    driver.begin(STATISTICS)
    with pytest.raises(UsageError, match="not ready"):
        driver.report([(PAGES_AT, 4096)])
    driver.ready()
    driver.take_notifications()
    assert driver.report_room == 32
    ranges = [(PAGES_AT + n * 4 * MIB, 2 * MIB) for n in range(3)]
    assert driver.report(ranges)
    assert driver.take_notifications() == [Queue.REPORTING]
    assert bench.take(Queue.REPORTING) == b""
    assert bench.taken[Queue.REPORTING][0].writable == tuple(ranges)
    assert driver.report(ranges) is False
    assert bench.give_back(Queue.REPORTING, 6 * MIB) == [Reported(ranges)]
    assert driver.report(ranges) is True


@pytest.mark.parametrize("features", [0, bit(RING_INDIRECT_DESC)])
def test_reports_have_no_more_ranges_than_the_ring_descriptors(features: int) -> None:
    bench = DriverBench(bit(PAGE_REPORTING) | features, size=4)
    bench.begin()
    assert bench.driver.report_room == 4
    ranges = [(PAGES_AT + n * 8192, 4096) for n in range(5)]
    with pytest.raises(UsageError, match="5 in one request"):
        bench.driver.report(ranges)
    assert bench.driver.report(ranges[:4])
    bench.take(Queue.REPORTING)
    assert bench.taken[Queue.REPORTING][0].writable == tuple(ranges[:4])


@pytest.mark.parametrize("bad", [(PAGES_AT + 1, 4096), (PAGES_AT, 4095), (PAGES_AT, 0)])
def test_reports_are_of_whole_pages(bad: tuple[int, int]) -> None:
    bench = DriverBench(bit(PAGE_REPORTING))
    bench.begin()
    with pytest.raises(UsageError, match="whole pages"):
        bench.driver.report([bad])


def test_without_reporting_there_is_no_room_for_a_report(bench: DriverBench) -> None:
    assert bench.driver.report_room == 0
    assert bench.driver.report([(PAGES_AT, 4096)]) is False


# The legacy interface


@pytest.mark.statement("LEG-CFG-1")
@pytest.mark.parametrize("byteorder", ORDERS)
def test_a_legacy_driver_speaks_its_guests_order_in_buffers_but_not_in_configuration(
    byteorder: Byteorder,
) -> None:
    bench = DriverBench(LEGACY, byteorder=byteorder)
    bench.begin()
    bench.driver.config_changed(10)
    bench.driver.inflate([0x102])
    assert bench.take(Queue.INFLATE) == (0x102).to_bytes(4, byteorder)
    bench.give_back(Queue.INFLATE)
    assert bench.driver.take_config_writes() == [(4, le32(1))]


def test_a_modern_driver_is_little_endian_in_any_guest() -> None:
    assert BalloonDriver(DEFAULT_FEATURES, byteorder="big").byteorder == "little"
    assert BalloonDriver(LEGACY, byteorder="big").byteorder == "big"


# Devices that misbehave


@pytest.mark.statement("LEG-OP-1")
@pytest.mark.parametrize("written", [1, 1024, 0xFFFFFFFF])
def test_what_the_device_says_it_wrote_makes_no_difference(
    bench: DriverBench, written: int
) -> None:
    bench.driver.config_changed(4)
    pages = bench.inflate(4)
    asked(bench, Queue.INFLATE)
    assert bench.give_back(Queue.INFLATE, written) == [Inflated(pages)]


@pytest.mark.statement("VQ-DRV-9")
def test_interrupts_without_cause_do_no_harm(bench: DriverBench) -> None:
    driver = bench.driver
    driver.config_changed(4)
    driver.config_changed(4)
    bench.inflate(4)
    for _ in range(3):
        assert [driver.service(queue) for queue in Queue] == [[]] * 5
    assert driver.wanted == 0


def break_by_id(bench: DriverBench) -> None:
    bench.ends[Queue.INFLATE].push(5)


def break_by_index(bench: DriverBench) -> None:
    for _ in range(3):
        bench.ends[Queue.INFLATE].push(0)


@pytest.mark.parametrize("break_it", [break_by_id, break_by_index])
def test_a_broken_queue_is_told_of_once_and_left_alone(
    bench: DriverBench, break_it: Callable[[DriverBench], None]
) -> None:
    driver = bench.driver
    driver.config_changed(600)
    inside = bench.inflate_through(256)
    lost = bench.inflate(256)
    break_it(bench)
    (event,) = driver.service(Queue.INFLATE)
    assert isinstance(event, DeviceBroken)
    assert event.queue is Queue.INFLATE
    assert driver.service(Queue.INFLATE) == []
    assert driver.broken == [Queue.INFLATE]
    assert driver.wanted == 0
    with pytest.raises(UsageError, match="broken"):
        driver.inflate([1])
    # The other queue still works, but what is lost stays lost until the reset.
    driver.config_changed(0)
    assert driver.wanted == -256
    back = driver.deflate(256)
    assert back == inside[::-1]
    asked(bench, Queue.DEFLATE)
    bench.give_back(Queue.DEFLATE)
    assert driver.stop() == sorted(lost)
