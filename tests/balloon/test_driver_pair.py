"""Our driver against our device, which watches it: every feature set, any order of things.

The device keeps its own book of the balloon; the guest's free pages are the driver's account.
"""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from aerostat.balloon.abi import MUST_TELL_HOST, PAGE_SIZE, Queue
from aerostat.balloon.driver_features import KNOWN_FEATURES
from aerostat.balloon.statistics import Tag
from aerostat.testing.conformance.driver_bench import PAGES_SIZE, DriverPair
from aerostat.testing.conformance.watched_device import Offence
from aerostat.virtio.features import RING_INDIRECT_DESC, VERSION_1, bit, has
from aerostat.virtio.memory import Byteorder

PAGES = PAGES_SIZE // PAGE_SIZE
ORDERS: list[Byteorder] = ["little", "big"]

INDIRECT = [(0, bit(RING_INDIRECT_DESC)), (bit(RING_INDIRECT_DESC), 0)]

# All subsets of MUST_TELL_HOST, STATS_VQ, DEFLATE_ON_OOM, PAGE_POISON and PAGE_REPORTING.
SUBSETS = [n & 7 | (n & 24) << 1 for n in range(32)]


def pfns(pair: DriverPair, pages: list[int]) -> set[int]:
    """Return the numbers of the 4096-byte pages that `pages` of the guest's are."""
    per_page = pair.driver.page_size // PAGE_SIZE
    return {page * per_page + n for page in pages for n in range(per_page)}


def offences(pair: DriverPair) -> list[Offence]:
    """Return the driver's, but for the one of leaving MUST_TELL_HOST out, if that is on trial."""
    left_out = "DRV-FEAT-1" if not has(pair.driver.features, MUST_TELL_HOST) else ""
    return [offence for offence in pair.device.offences if offence.id != left_out]


def check_rest(pair: DriverPair, target: int, pages: set[int]) -> None:
    """Assert that both agree on a balloon of `target` of all `pages` once nothing moves."""
    per_page = pair.driver.page_size // PAGE_SIZE
    expected = -(-target // per_page) * per_page
    assert offences(pair) == []
    assert not any(pair.device.counters.values())
    assert len(pair.device.balloon) == expected
    assert pfns(pair, pair.free) == pages - pair.device.balloon
    assert pair.driver.actual == pair.device.config.actual == expected
    assert pair.driver.wanted == 0


@pytest.mark.statement("DRV-OP-1", "DRV-OP-2", "DRV-OP-11", "DRV-OP-14", "LEG-FEAT-1", "ST-DEV-4")
@pytest.mark.statement("LEG-CFG-1", "LEG-STATS-1", "DRV-STATS-3")
@pytest.mark.parametrize("version_1", [bit(VERSION_1), 0], ids=["modern", "legacy"])
@pytest.mark.parametrize("subset", SUBSETS)
def test_every_set_of_features_converges(subset: int, version_1: int) -> None:
    source = Random(subset)
    for byteorder, indirect in zip(ORDERS, source.choice(INDIRECT), strict=True):
        pair = DriverPair(wanted=subset | version_1 | indirect, byteorder=byteorder, size=4)
        assert pair.device.negotiated == subset | version_1 | indirect
        del pair.free[600:]
        pages = pfns(pair, pair.free)
        for target in (source.randrange(601), source.randrange(601)):
            pair.set_target(target)
            pair.report(3)
            pair.settle()
            check_rest(pair, target, pages)
        if Queue.STATS in pair.driver.queues:
            answer: dict[int, int] = {Tag.FREE_MEMORY: target, Tag.TOTAL_MEMORY: 1 << 40}
            assert pair.ask_statistics(answer)
            assert pair.statistics == answer
        assert bool(pair.device.reported) == (Queue.REPORTING in pair.driver.queues)


@pytest.mark.parametrize("page_size", [4096, 16384, 65536, 2 << 20])
@pytest.mark.parametrize("size", [1, 2, 256])
def test_every_size_of_page_and_ring_converges(page_size: int, size: int) -> None:
    pair = DriverPair(page_size=page_size, batch=512, size=size, start=65533)
    pages = pfns(pair, pair.free)
    for target in (1, 1000, 0, 0, 4095, 4096, 17, 512):
        pair.set_target(target)
        pair.settle()
        check_rest(pair, target, pages)


def test_a_target_beyond_the_guest_takes_all_that_it_can_give() -> None:
    pair = DriverPair()
    pages = pfns(pair, pair.free)
    pair.set_target(0xFFFFFFFF)
    pair.settle()
    assert pair.free == []
    assert pair.device.config.actual == PAGES
    assert pair.driver.wanted == 0xFFFFFFFF - PAGES
    pair.set_target(3)
    pair.settle()
    check_rest(pair, 3, pages)


class PairModel(RuleBasedStateMachine):
    """Whatever comes when, no page is in two hands, none is lost, and both come to rest alike."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = DriverPair()
        self.pages: set[int] = set()

    @initialize(
        without=st.sets(st.sampled_from([0, 1, 2, 4, 5, RING_INDIRECT_DESC, VERSION_1])),
        byteorder=st.sampled_from(ORDERS),
        page_size=st.sampled_from([4096, 16384]),
        size=st.sampled_from([1, 4]),
    )
    def begin(self, without: set[int], byteorder: Byteorder, page_size: int, size: int) -> None:
        self.pair = DriverPair(
            wanted=KNOWN_FEATURES & ~sum(map(bit, without)),
            byteorder=byteorder,
            page_size=page_size,
            batch=64,
            size=size,
            start=65530,
        )
        del self.pair.free[400:]
        self.pages = pfns(self.pair, self.pair.free)

    @rule(num_pages=st.integers(0, 300), heard=st.booleans())
    def set_target(self, num_pages: int, heard: bool) -> None:
        self.pair.device.set_target(num_pages)
        if heard:
            self.pair.hear_config()

    @rule(queue=st.sampled_from([Queue.INFLATE, Queue.DEFLATE, Queue.REPORTING]))
    def hold(self, queue: Queue) -> None:
        self.pair.device.holding.add(queue)

    @precondition(lambda self: bool(self.pair.device.holding))
    @rule()
    def release(self) -> None:
        self.pair.device.release(min(self.pair.device.holding))

    @rule(count=st.integers(1, 100))
    def relieve(self, count: int) -> None:
        self.pair.driver.relieve(count)

    @rule(count=st.integers(1, 4))
    def report(self, count: int) -> None:
        self.pair.report(count)

    @rule()
    def ask_statistics(self) -> None:
        self.pair.device.request_statistics()

    @rule()
    def balance(self) -> None:
        self.pair.balance()

    @rule()
    def tell(self) -> None:
        self.pair.tell()

    @rule()
    def hear(self) -> None:
        self.pair.hear()

    @rule()
    def interrupt(self) -> None:
        """Look without cause; what is found is nothing, for all notifications are heard."""
        quiet = set(self.pair.driver.queues) - self.pair.device._notify
        for queue in quiet:
            assert self.pair.driver.service(queue) == []

    @invariant()
    def no_page_is_in_two_hands(self) -> None:
        device = self.pair.device
        assert offences(self.pair) == []
        free = pfns(self.pair, self.pair.free)
        assert not free & (device.balloon | device.inflating | device.deflating)
        assert not free & pfns(self.pair, self.pair.lent)

    @rule(num_pages=st.integers(0, 300))
    def come_to_rest(self, num_pages: int) -> None:
        pair = self.pair
        for queue in list(pair.device.holding):
            pair.device.release(queue)
        pair.set_target(num_pages)
        pair.settle()
        check_rest(pair, num_pages, self.pages)
        assert pair.driver.service(Queue.STATS) == []
        if Queue.STATS in pair.driver.queues:
            assert pair.device.statistics_held

    def teardown(self) -> None:
        """After a reset every page is the guest's."""
        pair = self.pair
        pages = pair.free + pair.lent + pair.driver.stop()
        assert len(pages) == len(set(pages))
        assert pfns(pair, pages) == self.pages


TestPairModel = PairModel.TestCase
TestPairModel.settings = settings(stateful_step_count=40)
