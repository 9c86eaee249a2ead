"""The balloon device's inflate and deflate queues."""

from collections.abc import Callable

import pytest

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import (
    STEP_PAGES,
    Inflate,
)
from aerostat.errors import UsageError
from aerostat.testing.conformance.pair import BalloonPair, page_spans
from aerostat.testing.mocks.driver import Used
from aerostat.virtio.chain import NEXT

MIB = 1 << 20


@pytest.fixture
def pair() -> BalloonPair:
    return BalloonPair()


@pytest.mark.parametrize("queue", [Queue.INFLATE, Queue.DEFLATE])
@pytest.mark.statement("DEV-OP-3")
def test_dev_op_3_each_request_is_acknowledged_with_len_0(pair: BalloonPair, queue: Queue) -> None:
    send = pair.driver.inflate if queue is Queue.INFLATE else pair.driver.deflate
    heads = [send([5, 4, 3]), send([2050, 9])]
    events = pair.serve(queue)
    assert [page_spans(event) for event in events] == [[(3, 3)], [(9, 1), (2050, 1)]]
    assert all(type(event).__name__.upper() == queue.name for event in events)
    assert pair.driver.collect(queue) == [Used(head, 0) for head in heads]
    assert pair.device.take_notifications() == [queue]
    assert pair.device.take_notifications() == []
    assert pair.faults() == {}


@pytest.mark.statement("DEV-OP-2")
def test_dev_op_2_the_driver_is_told_only_after_the_pages_were_seen_to(pair: BalloonPair) -> None:
    head = pair.driver.inflate([3])
    (event,) = list(pair.device.service(Queue.INFLATE, budget=1))
    assert isinstance(event, Inflate)
    assert pair.driver.collect(Queue.INFLATE) == []
    assert pair.device.take_notifications() == []
    pair.device.complete(event)
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]


def test_an_event_is_completed_once(pair: BalloonPair) -> None:
    pair.driver.inflate([3])
    (event,) = pair.serve(Queue.INFLATE)
    assert isinstance(event, Inflate)
    pair.device.complete(event)
    assert len(pair.driver.collect(Queue.INFLATE)) == 1


def test_events_must_be_completed_in_turn(pair: BalloonPair) -> None:
    pair.driver.inflate([3])
    events = pair.device.service(Queue.INFLATE)
    next(events)
    with pytest.raises(UsageError, match="complete"):
        next(events)


def test_an_event_of_a_queue_that_stopped_completes_nothing(pair: BalloonPair) -> None:
    head = pair.driver.inflate([3])
    old = next(iter(pair.device.service(Queue.INFLATE)))
    assert isinstance(old, Inflate)
    assert pair.device.stop(Queue.INFLATE) == 0  # the request is to be taken again
    pair.device.complete(old)
    pair.start(Queue.INFLATE)
    new = next(iter(pair.device.service(Queue.INFLATE)))
    assert isinstance(new, Inflate)
    pair.device.complete(old)
    assert pair.driver.collect(Queue.INFLATE) == []
    pair.device.complete(new)
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]


@pytest.mark.statement("VQ-DEV-2")
def test_vq_dev_2_page_numbers_may_be_split_at_any_byte(pair: BalloonPair) -> None:
    heads = [pair.driver.inflate([0x101, 0x302], [1, 1, cut]) for cut in (1, 3)]
    events = pair.serve(Queue.INFLATE)
    assert [page_spans(event) for event in events] == [[(0x101, 1), (0x302, 1)]] * 2
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0) for head in heads]


def test_pages_outside_memory_are_skipped_and_counted(pair: BalloonPair) -> None:
    """The last page of each region counts, the first one after it does not."""
    pair.driver.inflate([1023, 1024, 2047, 2048, 3071, 3072, 0xFFFFFFFF])
    (event,) = pair.serve(Queue.INFLATE)
    assert page_spans(event) == [(1023, 1), (2048, 1), (3071, 1)]
    assert pair.faults() == {"outside_pages": 4}
    assert len(pair.driver.collect(Queue.INFLATE)) == 1


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", []),
        (b"\5", []),
        (b"\5\0\0", []),
        (b"\5\0\0\0\6", [(5, 1)]),
        (b"\5\0\0\0" * 3, [(5, 1)]),
    ],
)
def test_odd_payloads_are_acknowledged(
    pair: BalloonPair, payload: bytes, expected: list[tuple[int, int]]
) -> None:
    head = pair.driver.send(Queue.INFLATE, payload)
    (event,) = pair.serve(Queue.INFLATE)
    assert page_spans(event) == expected
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]


def bad_loop(pair: BalloonPair) -> int:
    ring = pair.driver.rings[Queue.INFLATE]
    ring.write_descriptor(2, MIB, 4, NEXT, 2)
    ring.offer(2)
    return 2


def bad_outside(pair: BalloonPair) -> int:
    return pair.driver.rings[Queue.INFLATE].add([(6 * MIB, 1024)])


def bad_half_outside(pair: BalloonPair) -> int:
    return pair.driver.rings[Queue.INFLATE].add([(4 * MIB - 4, 8)])


def bad_wrapping(pair: BalloonPair) -> int:
    return pair.driver.rings[Queue.INFLATE].add([((1 << 64) - 4, 8)])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (bad_loop, "bad_chains"),
        (bad_outside, "bad_addresses"),
        (bad_half_outside, "bad_addresses"),
        (bad_wrapping, "bad_addresses"),
    ],
)
def test_bad_requests_go_back_unread_and_the_next_is_served(
    pair: BalloonPair, spoil: Callable[[BalloonPair], int], fault: str
) -> None:
    """Linux waits for its buffer even when it shuts down: it must get it."""
    head = spoil(pair)
    good = pair.driver.inflate([3])
    events = pair.serve(Queue.INFLATE)
    assert [page_spans(event) for event in events] == [[], [(3, 1)]]
    assert pair.faults() == {fault: 1}
    returned = pair.driver.rings[Queue.INFLATE].used_words.load(1)
    assert returned == 2
    elements = pair.memory.read(pair.driver.rings[Queue.INFLATE].used + 4, 16)
    assert elements == b"".join(number.to_bytes(4, "little") for number in (head, 0, good, 0))


@pytest.mark.statement("VQ-DEV-1")
def test_vq_dev_1_a_writable_request_is_acknowledged_unread(pair: BalloonPair) -> None:
    address = 2 * MIB
    pair.memory.write(address, b"\3\0\0\0")
    head = pair.driver.rings[Queue.INFLATE].add([], [(address, 4)])
    (event,) = pair.serve(Queue.INFLATE)
    assert page_spans(event) == []
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]
    assert pair.memory.read(address, 4) == b"\3\0\0\0"


def test_large_requests_are_done_in_steps() -> None:
    pair = BalloonPair(buffer_size=64 << 10)
    count = 2 * STEP_PAGES + 100
    pfns = [2048 + n % 1024 for n in range(count)]
    head = pair.driver.inflate(pfns)
    events = pair.serve(Queue.INFLATE, budget=2)
    assert [event.last for event in events if isinstance(event, Inflate)] == [False, False]
    assert pair.driver.collect(Queue.INFLATE) == []
    assert pair.device.pending(Queue.INFLATE)
    (last,) = pair.serve(Queue.INFLATE)
    assert isinstance(last, Inflate)
    assert last.last
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]
    assert not pair.device.pending(Queue.INFLATE)


def test_of_a_huge_request_only_the_first_mebibyte_is_read(pair: BalloonPair) -> None:
    head = pair.driver.rings[Queue.INFLATE].add([(2 * MIB, MIB), (8 * MIB, (1 << 32) - 1)])
    events = pair.serve(Queue.INFLATE, budget=1000)
    assert len(events) == MIB // 4 // STEP_PAGES
    assert all(page_spans(event) == [(0, 1)] for event in events)
    assert pair.faults() == {"oversized_buffers": 1}
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]


def test_the_budget_bounds_one_call(pair: BalloonPair) -> None:
    for page in range(5):
        pair.driver.inflate([page])
    assert len(pair.serve(Queue.INFLATE, budget=3)) == 3
    assert pair.device.pending(Queue.INFLATE)
    assert len(pair.serve(Queue.INFLATE, budget=3)) == 2
    assert not pair.device.pending(Queue.INFLATE)
