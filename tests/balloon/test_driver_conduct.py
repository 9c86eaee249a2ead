"""Our driver, watched by our device: whatever is asked of it, it keeps the specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES
from aerostat.balloon.driver_events import Inflated, StatisticsWanted
from aerostat.balloon.driver_features import KNOWN_FEATURES
from aerostat.balloon.statistics import encode
from aerostat.testing.conformance.driver_bench import (
    PAGES_AT,
    PAGES_SIZE,
    STATISTICS,
    DriverBench,
    DriverPair,
)
from aerostat.virtio.features import VERSION_1, bit, has
from aerostat.virtio.memory import Byteorder

PAGES = PAGES_SIZE // PAGE_SIZE
BITS = [1 << n for n in range(64) if DEFAULT_FEATURES >> n & 1]
TARGETS = st.tuples(st.just("target"), st.integers(0, PAGES))
TURNS = st.tuples(st.just("turns"), st.integers(1, 5))
RELIEFS = st.tuples(st.just("relieve"), st.integers(1, 600))
ASKS = st.tuples(st.just("ask"), st.just(0))


def pfns(pages: list[int]) -> bytes:
    return b"".join(page.to_bytes(4, "little") for page in pages)


@pytest.mark.statement("DRV-FEAT-1", "DRV-OP-1", "DRV-OP-2", "DRV-OP-4", "DRV-OP-5", "DRV-OP-6")
@pytest.mark.statement("DRV-OP-10", "DRV-OP-11", "DRV-OP-13", "DRV-OP-14", "LEG-OP-2", "CFG-2")
@pytest.mark.statement("DRV-STATS-1", "DRV-STATS-2", "DRV-STATS-3", "DRV-STATS-4", "DRV-STATS-5")
@pytest.mark.statement("DRV-STATS-8", "DRV-POISON-2", "DRV-POISON-3")
@given(
    st.sets(st.sampled_from(BITS)).map(sum),
    st.sampled_from(["little", "big"]),
    st.sampled_from([PAGE_SIZE, 4 * PAGE_SIZE]),
    st.lists(TARGETS | TURNS | RELIEFS | ASKS, max_size=12),
    st.integers(0, PAGES),
)
def test_our_driver_commits_no_offence(
    missing: int,
    byteorder: Byteorder,
    page_size: int,
    steps: list[tuple[str, int]],
    last: int,
) -> None:
    pair = DriverPair(
        offered=DEFAULT_FEATURES & ~missing,
        wanted=KNOWN_FEATURES,
        byteorder=byteorder,
        page_size=page_size,
    )
    relieved = has(pair.driver.features, DEFLATE_ON_OOM)
    for step, amount in steps:
        if step == "target":
            pair.set_target(amount)
        elif step == "relieve":
            assert not pair.driver.relieve(amount) or relieved
        elif step == "ask" and Queue.STATS in pair.driver.queues:
            assert pair.ask_statistics()
        else:
            for _ in range(amount):
                pair.turn()
    pair.set_target(last)
    pair.settle()

    assert pair.device.offences == []
    whole = -(-last * PAGE_SIZE // page_size) * (page_size // PAGE_SIZE)
    assert len(pair.device.balloon) == pair.device.config.actual == whole


@pytest.mark.statement("VQ-DRV-8", "VQ-DRV-10")
def test_what_the_device_has_is_notified_of_and_left_as_it_is() -> None:
    bench = DriverBench(DEFAULT_FEATURES)
    bench.begin(poison=0)
    driver = bench.driver
    driver.config_changed(64)
    bench.inflate_through(8)
    driver.take_notifications()
    driver.deflate(1)  # not asked for, so nothing
    assert driver.take_notifications() == []

    given = bench.inflate(8)
    reports = [(PAGES_AT, PAGE_SIZE)]
    assert driver.report(reports)
    assert driver.take_notifications() == [Queue.INFLATE, Queue.REPORTING]
    driver.config_changed(0)
    taken = driver.deflate(8)
    assert driver.take_notifications() == [Queue.DEFLATE]
    assert bench.take(Queue.INFLATE) == pfns(given)
    assert bench.take(Queue.DEFLATE) == pfns(taken)
    assert bench.take(Queue.STATS) == encode(STATISTICS)
    before = bench.memory.read(0, bench.arena + driver.arena_size)

    driver.config_changed(1)
    driver.relieve(8)
    assert not driver.report(reports)
    for queue in driver.queues:
        assert driver.service(queue) == []
    assert bench.memory.read(0, bench.arena + driver.arena_size) == before


@pytest.mark.statement("LEG-OP-1")
@pytest.mark.parametrize("written", [0, 1, 32, 0xFFFFFFFF])
def test_whatever_length_a_device_says_it_wrote_means_nothing(written: int) -> None:
    bench = DriverBench(DEFAULT_FEATURES & ~bit(VERSION_1))
    bench.begin(poison=0)
    bench.driver.config_changed(8)
    pages = bench.inflate(8)
    bench.take(Queue.INFLATE)
    assert bench.give_back(Queue.INFLATE, written) == [Inflated(pages)]
    bench.take(Queue.STATS)
    assert bench.give_back(Queue.STATS, written) == [StatisticsWanted()]
    assert not bench.driver.broken
