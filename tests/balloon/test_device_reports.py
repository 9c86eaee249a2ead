"""The balloon device's free page reporting queue."""

import pytest

from aerostat.balloon.abi import PAGE_POISON, PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES, Report
from aerostat.testing.conformance.pair import BalloonPair, page_spans
from aerostat.testing.mocks.driver import Used
from aerostat.virtio.features import bit

MIB = 1 << 20


@pytest.fixture
def pair() -> BalloonPair:
    return BalloonPair()


def spans(pair: BalloonPair) -> list[list[tuple[int, int]]]:
    return [page_spans(event) for event in pair.serve(Queue.REPORTING)]


@pytest.mark.statement("DEV-REP-1", "DEV-REP-3", "VQ-DEV-4")
def test_a_report_is_done_and_then_acknowledged_with_len_0(pair: BalloonPair) -> None:
    head = pair.driver.report([(3 * MIB, MIB), (8 * MIB, 2 * MIB)])
    (event,) = list(pair.device.service(Queue.REPORTING, budget=1))
    assert isinstance(event, Report)
    assert page_spans(event) == [(768, 256), (2048, 512)]
    assert pair.driver.collect(Queue.REPORTING) == []
    pair.device.complete(event)
    assert pair.driver.collect(Queue.REPORTING) == [Used(head, 0)]
    assert pair.device.take_notifications() == [Queue.REPORTING]
    assert pair.faults() == {}


def test_what_is_no_memory_is_left_out(pair: BalloonPair) -> None:
    """A report that crosses the end of a region must not reach what lies behind it in the file."""
    pair.driver.report([(3 * MIB, 2 * MIB), (7 * MIB, 2 * MIB), (1 << 63, 1 << 31)])
    assert spans(pair) == [[(768, 256), (2048, 256)]]
    assert pair.faults() == {"outside_pages": 2 * 256 + (1 << 31) // PAGE_SIZE}


@pytest.mark.parametrize("poison", [0, 0xAAAAAAAA])
@pytest.mark.statement("DEV-REP-2", "DEV-POISON-1")
def test_dev_rep_2_pages_that_must_keep_their_poison_are_left_alone(
    pair: BalloonPair, poison: int
) -> None:
    pair.device.write_config(12, poison.to_bytes(4, "little"))
    head = pair.driver.report([(2 * MIB, MIB)])
    assert spans(pair) == ([[]] if poison else [[(512, 256)]])
    assert pair.driver.collect(Queue.REPORTING) == [Used(head, 0)]
    assert pair.faults() == ({"kept_reports": 1} if poison else {})


@pytest.mark.statement("DEV-REP-1")
def test_poison_that_was_not_negotiated_means_nothing() -> None:
    pair = BalloonPair(features=DEFAULT_FEATURES & ~bit(PAGE_POISON))
    pair.device.write_config(12, b"\xaa" * 4)
    pair.driver.report([(2 * MIB, MIB)])
    assert spans(pair) == [[(512, 256)]]


@pytest.mark.statement("VQ-DEV-1")
def test_a_report_that_is_readable_is_acknowledged_and_nothing_else(pair: BalloonPair) -> None:
    ring = pair.driver.rings[Queue.REPORTING]
    heads = [ring.add([(2 * MIB, MIB)]), ring.add([(2 * MIB, MIB)], [(3 * MIB, PAGE_SIZE)])]
    assert spans(pair) == [[], [(768, 1)]]
    assert pair.driver.collect(Queue.REPORTING) == [Used(head, 0) for head in heads]
    assert pair.faults() == {"useless_reports": 1}


def test_what_is_reported_twice_is_done_once(pair: BalloonPair) -> None:
    pair.driver.report([(2 * MIB, MIB), (2 * MIB, MIB), (2 * MIB + MIB // 2, MIB), (3 * MIB, 8192)])
    assert spans(pair) == [[(512, 384)]]


@pytest.mark.statement("VQ-DEV-2")
def test_a_report_may_be_described_by_an_indirect_table(pair: BalloonPair) -> None:
    table = 6 * PAGE_SIZE
    ring = pair.driver.rings[Queue.REPORTING]
    ring.add([], [(8 * MIB + n * 16 * PAGE_SIZE, PAGE_SIZE) for n in range(8)], table=table)
    (found,) = spans(pair)
    assert found == [(2048 + 16 * n, 1) for n in range(8)]


def test_large_reports_are_done_in_steps(
    pair: BalloonPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aerostat.balloon.lane.STEP_PAGES", 512)
    head = pair.driver.report([(3 * MIB, MIB), (8 * MIB, 3 * MIB)])
    events = pair.serve(Queue.REPORTING, budget=1)
    assert pair.driver.collect(Queue.REPORTING) == []
    assert pair.device.pending(Queue.REPORTING)
    events += pair.serve(Queue.REPORTING)
    assert [page_spans(event) for event in events] == [[(768, 256), (2048, 256)], [(2304, 512)]]
    assert [event.last for event in events if isinstance(event, Report)] == [False, True]
    assert pair.driver.collect(Queue.REPORTING) == [Used(head, 0)]


def test_a_report_that_is_cut_short_is_taken_again(pair: BalloonPair) -> None:
    head = pair.driver.report([(2 * MIB, MIB)])
    old = next(iter(pair.device.service(Queue.REPORTING)))
    assert isinstance(old, Report)
    assert pair.device.stop(Queue.REPORTING) == 0
    pair.device.complete(old)
    pair.start(Queue.REPORTING)
    assert spans(pair) == [[(512, 256)]]
    assert pair.driver.collect(Queue.REPORTING) == [Used(head, 0)]
