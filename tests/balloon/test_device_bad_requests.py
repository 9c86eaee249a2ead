"""The catalogue of bad requests, against the device: answered, contained, and then forgotten."""

import pytest

from aerostat.balloon.abi import FREE_PAGE_HINT, PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES, Event, Inflate, Report, StatisticsArrived
from aerostat.testing.conformance.bad_ground import (
    GOOD_STATISTICS,
    RING_SIZE,
    Case,
    Ground,
    play_good,
    returned,
    used_index,
)
from aerostat.testing.conformance.bad_requests import CASES
from aerostat.testing.conformance.pair import BalloonPair
from aerostat.virtio.features import bit

MIB = 1 << 20
SCRATCH = 8 * MIB


def start(case: Case) -> tuple[BalloonPair, Ground]:
    features = DEFAULT_FEATURES | bit(FREE_PAGE_HINT)
    pair = BalloonPair(features=features, size=RING_SIZE, buffer_size=64, queues=tuple(Queue))
    return pair, Ground(pair.driver.rings[case.queue], pair.memory, SCRATCH)


def taken(events: list[Event]) -> set[int]:
    """Return the numbers of the pages that could be given back as a whole."""
    pages: set[int] = set()
    for event in events:
        if isinstance(event, Inflate | Report):
            for region, offset, length in event.pieces:
                first = region.guest_address + offset
                pages |= {*range(-(-first // PAGE_SIZE), (first + length) // PAGE_SIZE)}
    return pages


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.statement("VQ-DEV-1", "VQ-DEV-2", "VQ-DEV-3", "VQ-DEV-4", "DEV-OP-3")
@pytest.mark.statement("BAD-DEV-1", "BAD-DEV-2", "BAD-DEV-3", "BAD-DEV-4", "BAD-DEV-5")
def test_what_is_bad_is_answered_and_the_next_request_served(case: Case) -> None:
    pair, ground = start(case)
    begin = used_index(ground.ring)
    case.play(ground)
    events = pair.serve(case.queue, budget=1000)

    back = returned(ground.ring, begin)
    broken = pair.device.broken(case.queue)
    assert case.may_break or not broken
    assert len(back) == case.chains
    assert all(used.written == 0 for used in back)
    assert taken(events) <= {*case.taken(ground)}

    if broken:  # it is left alone until the driver resets it
        play_good(ground, case.queue)
        assert pair.serve(case.queue) == []
        pair, ground = start(case)
    begin = used_index(ground.ring)
    play_good(ground, case.queue)
    (event,) = pair.serve(case.queue)
    if isinstance(event, StatisticsArrived):
        assert event.statistics == GOOD_STATISTICS
        assert pair.device.request_statistics()
    elif isinstance(event, Inflate | Report):
        assert taken([event]) == {ground.page}
    assert len(returned(ground.ring, begin)) >= 1


def test_the_cases_can_be_told_apart() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
