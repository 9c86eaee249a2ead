"""Our driver's side of free page hinting, by hand and with our device, which watches it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.abi import CMD_ID_DONE, CMD_ID_STOP, FREE_PAGE_HINT, PAGE_SIZE, Queue
from aerostat.balloon.device import KNOWN_FEATURES
from aerostat.balloon.driver_events import Hinted
from aerostat.balloon.driver_features import DEFAULT_FEATURES
from aerostat.balloon.driver_hinting import Hints
from aerostat.balloon.hinting import Round
from aerostat.balloon.statistics import Byteorder
from aerostat.errors import UsageError
from aerostat.testing.conformance.driver_bench import PAGES_AT, DriverBench, DriverPair
from aerostat.virtio.features import RING_PACKED, VERSION_1, bit

FEATURES = DEFAULT_FEATURES & ~bit(RING_PACKED) | bit(FREE_PAGE_HINT)
HINT = Queue.HINT
RANGE = (PAGES_AT, PAGE_SIZE)


def wanted(bench: DriverBench) -> bool:
    return hints_of(bench).wanted


def hints_of(bench: DriverBench) -> Hints:
    assert bench.driver.hints is not None
    return bench.driver.hints


@pytest.fixture
def bench() -> DriverBench:
    bench = DriverBench(FEATURES)
    bench.begin()
    return bench


@pytest.mark.statement("DRV-HINT-1", "DRV-HINT-2", "DRV-HINT-4", "DRV-HINT-6")
def test_a_round_is_an_id_then_ranges_then_stop(bench: DriverBench) -> None:
    hints = hints_of(bench)
    assert not wanted(bench)
    bench.driver.config_changed(0, 7)
    assert bench.driver.take_notifications() == [Queue.STATS, HINT]
    assert bench.take(HINT) == b"\7\0\0\0"
    assert not wanted(bench)  # the id is with the device
    assert bench.give_back(HINT) == [Hinted([])]
    assert wanted(bench)
    hints.send([RANGE, (PAGES_AT + 8192, 8192)])
    assert bench.driver.take_notifications() == [HINT]
    assert bench.take(HINT) == b""
    (chain,) = bench.taken[HINT]
    assert chain.writable == (RANGE, (PAGES_AT + 8192, 8192))
    assert bench.give_back(HINT) == [Hinted([RANGE, (PAGES_AT + 8192, 8192)])]
    assert wanted(bench)
    hints.send([])
    assert bench.take(HINT) == bytes(4)
    bench.give_back(HINT)
    assert not wanted(bench)
    assert not hints.released


@pytest.mark.statement("DRV-HINT-3")
def test_an_id_is_sent_once_however_often_it_is_read(bench: DriverBench) -> None:
    for _ in range(3):
        bench.driver.config_changed(0, 7)
    assert bench.take(HINT) == b"\7\0\0\0"
    bench.give_back(HINT)
    hints_of(bench).send([])
    bench.driver.config_changed(0, 7)
    assert bench.take(HINT) == bytes(4)
    bench.give_back(HINT)
    bench.driver.config_changed(0, 7)
    assert bench.take(HINT) is None


@pytest.mark.statement("DRV-HINT-5", "DRV-HINT-6")
@pytest.mark.parametrize("after", [CMD_ID_STOP, CMD_ID_DONE, 8])
def test_a_round_that_is_called_off_ends_with_stop(bench: DriverBench, after: int) -> None:
    hints = hints_of(bench)
    bench.driver.config_changed(0, 7)
    bench.take(HINT)
    bench.give_back(HINT)
    hints.send([RANGE])
    bench.take(HINT)
    bench.driver.config_changed(0, after)
    assert not hints.wanted
    with pytest.raises(UsageError, match="wants no hints"):
        hints.send([RANGE])
    bench.give_back(HINT)
    assert bench.take(HINT) == bytes(4)
    assert hints.released == (after == CMD_ID_DONE)
    bench.give_back(HINT)
    assert bench.take(HINT) == (b"\x08\0\0\0" if after == 8 else None)


def test_an_id_may_come_again_after_another(bench: DriverBench) -> None:
    """A device may use it again once it has had STOP (5.5.6.5.2)."""
    for number in (7, CMD_ID_STOP, 7):
        bench.driver.config_changed(0, number)
        while (said := bench.take(HINT)) is not None:
            assert said == number.to_bytes(4, "little")
            bench.give_back(HINT)
    assert hints_of(bench).wanted


def test_more_than_there_is_room_for_is_refused(bench: DriverBench) -> None:
    bench.driver.config_changed(0, 7)
    bench.take(HINT)
    bench.give_back(HINT)
    hints = hints_of(bench)
    assert hints.room == 8  # as long as the ring
    with pytest.raises(UsageError, match="the most"):
        hints.send([RANGE] * 9)


@pytest.mark.statement("LEG-HINT-1")
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_legacy_driver_sends_ids_in_its_own_order(byteorder: Byteorder) -> None:
    bench = DriverBench(FEATURES & ~bit(VERSION_1), byteorder=byteorder)
    bench.begin()
    bench.driver.config_changed(0, 7)
    assert bench.take(HINT) == (7).to_bytes(4, byteorder)


def test_without_the_feature_ids_mean_nothing() -> None:
    bench = DriverBench(FEATURES & ~bit(FREE_PAGE_HINT))
    bench.begin()
    bench.driver.config_changed(5, 7)
    assert bench.driver.hints is None
    assert bench.driver.num_pages == 5


def test_after_the_end_there_is_nothing_to_hint(bench: DriverBench) -> None:
    bench.driver.stop()
    assert bench.driver.hints is None


@pytest.mark.statement("DRV-HINT-10", "DEV-HINT-6", "DRV-HINT-2", "DRV-HINT-6")
@pytest.mark.parametrize("indirect", [0, bit(28)])
@pytest.mark.parametrize("size", [1, 8])
def test_our_device_hears_of_every_free_page(size: int, indirect: int) -> None:
    pair = DriverPair(offered=KNOWN_FEATURES, wanted=FEATURES | indirect, size=size)
    del pair.free[300:]
    pair.set_target(100)
    pair.settle()
    free = sorted(pair.free)
    hinting = pair.device.hinting
    hinting.start()
    pair.hear_config()
    pair.settle()
    assert pair.free == []
    assert hinting.round is Round.ENDED
    assert hinting.hinted.ranges() == [(free[0] * PAGE_SIZE, len(free) * PAGE_SIZE)]
    hinting.done()
    pair.hear_config()
    pair.settle()
    assert sorted(pair.free) == free
    assert pair.device.offences == []
    assert not any(pair.device.counters.values())


@pytest.mark.statement("DRV-HINT-5", "DEV-HINT-3")
@given(st.lists(st.sampled_from(["start", "stop", "done", "turn", "read"]), max_size=30))
def test_rounds_that_are_cut_short_lose_no_page_and_use_none_of_another(steps: list[str]) -> None:
    pair = DriverPair(offered=KNOWN_FEATURES, wanted=FEATURES, size=4)
    del pair.free[20:]
    pages = sorted(pair.free)
    hinting = pair.device.hinting
    for step in steps:
        if step == "turn":
            pair.turn()
        elif step == "read":
            pair.hear_config()
        else:
            getattr(hinting, step)()
        assert hinting.hinted.size <= len(pages) * PAGE_SIZE
    number = hinting.start()
    pair.hear_config()
    pair.settle()
    assert hinting.complete
    assert pair.device.config.cmd_id == number
    hinting.done()
    pair.hear_config()
    pair.settle()
    assert sorted(pair.free) == pages
    assert pair.device.offences == []
