"""The balloon driver's statistics queue, with its device in the test's hands."""

import pytest

from aerostat.balloon.abi import Queue
from aerostat.balloon.driver_events import DeviceBroken, StatisticsWanted
from aerostat.balloon.driver_features import DEFAULT_FEATURES, FEATURES_OF_2009
from aerostat.balloon.statistics import Tag, parse
from aerostat.errors import UsageError
from aerostat.testing.conformance.driver_bench import STATISTICS, DriverBench
from aerostat.virtio.memory import Byteorder

SIX = dict.fromkeys(range(6), 0x0102030405060708)
ORDERS: list[Byteorder] = ["little", "big"]


@pytest.fixture
def bench() -> DriverBench:
    """Return a driver that has begun, and whose first buffer the device has."""
    bench = DriverBench(DEFAULT_FEATURES)
    bench.begin()
    assert bench.take(Queue.STATS) is not None
    bench.driver.take_notifications()
    return bench


@pytest.mark.statement("DRV-STATS-2", "DRV-STATS-4", "DRV-STATS-5", "DRV-STATS-7")
def test_the_first_buffer_is_filled_one_entry_for_each_statistic() -> None:
    bench = DriverBench(DEFAULT_FEATURES)
    bench.begin({Tag.AVAILABLE_MEMORY: 3, Tag.SWAP_IN: 1 << 63})
    payload = bench.take(Queue.STATS)
    assert payload == bytes.fromhex("0600 0300000000000000 0000 0000000000000080")
    assert bench.take(Queue.STATS) is None


@pytest.mark.statement("DRV-STATS-1", "DRV-STATS-3")
def test_one_buffer_is_out_and_comes_back_when_the_device_returns_it(bench: DriverBench) -> None:
    driver = bench.driver
    with pytest.raises(UsageError, match="has not asked"):
        driver.send_statistics(STATISTICS)
    for value in (1, 2, 3):
        assert bench.give_back(Queue.STATS) == [StatisticsWanted()]
        assert driver.service(Queue.STATS) == []
        assert bench.rings[Queue.STATS].outstanding == 0
        driver.send_statistics(dict.fromkeys(STATISTICS, value))
        assert driver.take_notifications() == [Queue.STATS]
        with pytest.raises(UsageError, match="has not asked"):
            driver.send_statistics(STATISTICS)
        payload = bench.take(Queue.STATS)
        assert payload is not None
        assert parse(payload) == dict.fromkeys(STATISTICS, value)
        assert bench.take(Queue.STATS) is None


@pytest.mark.statement("DRV-STATS-8")
@pytest.mark.parametrize("change", [{Tag.SWAP_IN: 1}, {}])
def test_every_buffer_has_the_tags_of_the_first(bench: DriverBench, change: dict[int, int]) -> None:
    bench.give_back(Queue.STATS)
    other = {Tag.FREE_MEMORY: 1} | change
    with pytest.raises(UsageError, match="the statistics that the first one had"):
        bench.driver.send_statistics(other)
    with pytest.raises(UsageError, match="the statistics that the first one had"):
        bench.driver.send_statistics(dict(STATISTICS) | {77: 1})
    bench.driver.send_statistics({tag: STATISTICS[tag] for tag in reversed([*STATISTICS])})
    payload = bench.take(Queue.STATS)
    assert payload is not None
    assert list(parse(payload).items()) == list(STATISTICS.items())


@pytest.mark.statement("VQ-DRV-10")
def test_a_buffer_that_the_device_has_is_not_touched(bench: DriverBench) -> None:
    arena = bench.memory.read(bench.arena, bench.driver.arena_size)
    with pytest.raises(UsageError):
        bench.driver.send_statistics(dict.fromkeys(STATISTICS, 9))
    bench.driver.service(Queue.STATS)
    assert bench.memory.read(bench.arena, bench.driver.arena_size) == arena


@pytest.mark.statement("LEG-STATS-1")
@pytest.mark.parametrize("byteorder", ORDERS)
def test_the_driver_of_2009(byteorder: Byteorder) -> None:
    """Six tags, in its own order of bytes, and the first buffer as it was found."""
    bench = DriverBench(FEATURES_OF_2009, byteorder=byteorder, statistics_first="uninitialised")
    junk = bytes(range(1, 256)) * 16
    bench.memory.write(bench.arena, junk)
    bench.begin(SIX)
    first = bench.take(Queue.STATS)
    assert first is not None
    assert len(first) == 60
    assert first in junk
    bench.give_back(Queue.STATS, written=60)
    bench.driver.send_statistics(SIX)
    second = bench.take(Queue.STATS)
    value = (0x0102030405060708).to_bytes(8, byteorder)
    assert second == b"".join(tag.to_bytes(2, byteorder) + value for tag in range(6))


@pytest.mark.parametrize("count", [0, 65])
def test_there_are_some_statistics_and_not_too_many(count: int) -> None:
    bench = DriverBench(DEFAULT_FEATURES)
    with pytest.raises(UsageError, match="1 to 64"):
        bench.begin(dict.fromkeys(range(count), 1))


@pytest.mark.parametrize("bad", [{65536: 1}, {1: -1}, {1: 1 << 64}])
def test_statistics_that_have_no_room_in_an_entry(bad: dict[int, int]) -> None:
    with pytest.raises(UsageError, match="16 bits"):
        DriverBench(DEFAULT_FEATURES).begin(bad)


@pytest.mark.statement("CFG-G-2")
def test_without_the_feature_there_is_nothing_to_send() -> None:
    bench = DriverBench(0)
    bench.begin()
    assert bench.driver.take_notifications() == []
    with pytest.raises(UsageError, match="STATS_VQ"):
        bench.driver.send_statistics(STATISTICS)


def test_an_answer_to_a_device_that_broke_its_queue_goes_nowhere(bench: DriverBench) -> None:
    """Asked, and broken before the answer: whoever runs the driver need not know."""
    bench.give_back(Queue.STATS)
    bench.ends[Queue.STATS].push(0)
    (event,) = bench.driver.service(Queue.STATS)
    assert isinstance(event, DeviceBroken)
    bench.driver.send_statistics(STATISTICS)
    assert bench.take(Queue.STATS) is None
    assert bench.driver.take_notifications() == []
