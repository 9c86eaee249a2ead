"""The balloon device's statistics queue."""

import pytest

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import (
    DEFAULT_FEATURES,
    StatisticsArrived,
)
from aerostat.balloon.statistics import MAX_ENTRIES, encode
from aerostat.testing.conformance.pair import BalloonPair, page_spans
from aerostat.testing.mocks.driver import BalloonDriver, Used
from aerostat.virtio.chain import NEXT
from aerostat.virtio.features import VERSION_1, bit

MIB = 1 << 20
FIGURES = {4: 100 * MIB, 5: 256 * MIB, 0: 7}
LEGACY = DEFAULT_FEATURES & ~bit(VERSION_1)


@pytest.fixture
def pair() -> BalloonPair:
    return BalloonPair()


@pytest.mark.statement("DEV-STATS-3")
def test_dev_stats_3_the_first_buffer_is_kept_until_figures_are_wanted(pair: BalloonPair) -> None:
    head = pair.driver.send_statistics(FIGURES)
    assert pair.serve(Queue.STATS) == [StatisticsArrived(FIGURES)]
    assert pair.device.statistics_held
    assert pair.driver.collect(Queue.STATS) == []
    assert pair.device.take_notifications() == []

    assert pair.device.request_statistics()
    assert pair.device.take_notifications() == [Queue.STATS]
    assert pair.driver.collect(Queue.STATS) == [Used(head, 0)]

    pair.driver.send_statistics({4: 1})
    assert pair.serve(Queue.STATS) == [StatisticsArrived({4: 1})]
    assert pair.faults() == {}


@pytest.mark.statement("DEV-STATS-3")
def test_dev_stats_3_nothing_can_be_asked_of_a_silent_driver(pair: BalloonPair) -> None:
    assert not pair.device.request_statistics()
    pair.driver.send_statistics(FIGURES)
    pair.serve(Queue.STATS)
    assert pair.device.request_statistics()
    assert not pair.device.request_statistics()


@pytest.mark.statement("DRV-STATS-1")
def test_drv_stats_1_of_two_buffers_the_older_goes_back(pair: BalloonPair) -> None:
    first = pair.driver.send_statistics({4: 1})
    second = pair.driver.send_statistics({4: 2})
    third = pair.driver.send_statistics({4: 3})
    arrived = [StatisticsArrived({4: n}) for n in (1, 2, 3)]
    assert pair.serve(Queue.STATS) == arrived
    assert pair.driver.collect(Queue.STATS) == [Used(first, 0), Used(second, 0)]
    assert pair.device.take_notifications() == [Queue.STATS]
    assert pair.faults() == {"extra_statistics": 2}
    pair.device.request_statistics()
    assert pair.driver.collect(Queue.STATS) == [Used(third, 0)]


@pytest.mark.parametrize("cut", range(1, 20))
@pytest.mark.statement("VQ-DEV-2")
def test_vq_dev_2_entries_may_straddle_descriptors(pair: BalloonPair, cut: int) -> None:
    pair.driver.send_statistics({4: 0x1122334455667788, 5: 1 << 63}, [cut])
    assert pair.serve(Queue.STATS) == [StatisticsArrived({4: 0x1122334455667788, 5: 1 << 63})]


def test_an_empty_first_buffer_brings_no_figures_but_starts_the_dance(pair: BalloonPair) -> None:
    """That is how the specification describes initialization (5.5.5)."""
    pair.driver.send_statistics({})
    assert pair.serve(Queue.STATS) == []
    assert pair.faults() == {}
    assert pair.device.request_statistics()


def test_a_device_writable_buffer_brings_nothing_but_goes_back(
    pair: BalloonPair,
) -> None:
    for _ in range(2):
        head = pair.driver.rings[Queue.STATS].add([], [(MIB, 160)])
        assert pair.serve(Queue.STATS) == []
        assert pair.device.request_statistics()
        assert pair.driver.collect(Queue.STATS) == [Used(head, 0)]
    assert pair.faults() == {"useless_statistics": 1}


def test_only_the_readable_part_is_read(pair: BalloonPair) -> None:
    address = 2 * MIB
    pair.memory.write(address, encode({4: 1, 5: 2}))
    pair.driver.rings[Queue.STATS].add([(address, 10)], [(address + 10, 10)])
    assert pair.serve(Queue.STATS) == [StatisticsArrived({4: 1})]


@pytest.mark.parametrize("length", [MAX_ENTRIES * 10 + 1, 64 << 10, (1 << 32) - 1])
def test_a_huge_statistics_buffer_is_skipped_but_held(pair: BalloonPair, length: int) -> None:
    pair.driver.rings[Queue.STATS].add([(0, length)])
    assert pair.serve(Queue.STATS) == []
    assert pair.faults() == {"oversized_buffers": 1}
    assert pair.device.request_statistics()


def test_a_statistics_buffer_outside_memory_is_held_too(pair: BalloonPair) -> None:
    pair.driver.rings[Queue.STATS].add([(6 * MIB, 160)])
    assert pair.serve(Queue.STATS) == []
    assert pair.device.counters["bad_addresses"] == 1
    assert pair.device.request_statistics()


def test_a_malformed_statistics_chain_is_held_too(pair: BalloonPair) -> None:
    """Given back at once, it would come again at once, and so on for ever."""
    ring = pair.driver.rings[Queue.STATS]
    ring.write_descriptor(3, MIB, 10, NEXT, 3)
    ring.offer(3)
    assert pair.serve(Queue.STATS) == []
    assert pair.device.statistics_held
    assert pair.device.counters["bad_chains"] == 1


@pytest.mark.statement("DRV-STATS-3")
def test_drv_stats_3_after_a_reset_the_driver_begins_again(pair: BalloonPair) -> None:
    pair.driver.send_statistics(FIGURES)
    pair.serve(Queue.STATS)
    pair.device.reset()
    assert not pair.device.statistics_held
    assert not pair.device.request_statistics()

    pair.driver = BalloonDriver(pair.memory, MIB)
    pair.device.accept(DEFAULT_FEATURES)
    pair.start(Queue.STATS)
    pair.driver.send_statistics(FIGURES)
    assert pair.serve(Queue.STATS) == [StatisticsArrived(FIGURES)]


def test_a_held_buffer_is_found_again_after_a_pause_but_is_no_news(pair: BalloonPair) -> None:
    for figures in ({4: 1}, {4: 2}):
        pair.device.request_statistics()
        pair.driver.collect(Queue.STATS)
        pair.driver.send_statistics(figures)
        pair.serve(Queue.STATS)
    base = pair.device.stop(Queue.STATS)
    assert base == 1  # of two taken, one is held
    pair.start(Queue.STATS, base)
    assert pair.device.pending(Queue.STATS)
    assert pair.serve(Queue.STATS) == []
    assert pair.device.request_statistics()
    assert len(pair.driver.collect(Queue.STATS)) == 1
    pair.driver.send_statistics({4: 2})  # the same figures, but new
    assert pair.serve(Queue.STATS) == [StatisticsArrived({4: 2})]


@pytest.mark.statement("LEG-STATS-2")
def test_leg_stats_2_the_first_buffer_of_a_legacy_driver_is_ignored() -> None:
    pair = BalloonPair(features=LEGACY)
    pair.driver.send_statistics({4: 0xDEAD})
    assert pair.serve(Queue.STATS) == []
    pair.device.request_statistics()
    pair.driver.send_statistics(FIGURES)
    assert pair.serve(Queue.STATS) == [StatisticsArrived(FIGURES)]


@pytest.mark.statement("LEG-STATS-2")
def test_leg_stats_2_holds_for_the_next_legacy_driver_too() -> None:
    pair = BalloonPair(features=LEGACY)
    pair.driver.send_statistics({})
    pair.serve(Queue.STATS)
    pair.device.reset()
    pair.driver = BalloonDriver(pair.memory, MIB)
    pair.device.accept(LEGACY)
    pair.start(Queue.STATS)
    pair.driver.send_statistics({4: 0xDEAD})
    assert pair.serve(Queue.STATS) == []


@pytest.mark.statement("LEG-STATS-1", "LEG-CFG-1")
def test_leg_stats_1_legacy_buffers_are_in_the_guests_order() -> None:
    pair = BalloonPair(features=LEGACY, byteorder="big")
    pair.driver.send_statistics({})
    pair.driver.send_statistics(FIGURES)
    assert pair.serve(Queue.STATS) == [StatisticsArrived(FIGURES)]
    pair.driver.inflate([3, 4])
    assert [page_spans(event) for event in pair.serve(Queue.INFLATE)] == [[(3, 2)]]
    # The configuration space is little-endian all the same (LEG-CFG-1).
    pair.device.set_target(1)
    assert pair.device.read_config(0, 4) == b"\1\0\0\0"
