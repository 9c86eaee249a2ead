"""The balloon device and guests that do anything at all: nothing raises, nothing escapes."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import Event, Report, StatisticsArrived
from aerostat.testing.conformance.pair import BalloonPair, page_spans
from aerostat.testing.mocks.driver import Used

PAGES = [*range(1024), *range(2048, 3072)]
QUEUES = st.sampled_from([Queue.INFLATE, Queue.DEFLATE, Queue.STATS])


def check(pair: BalloonPair, events: list[Event]) -> None:
    """Assert that no event names a byte outside the guest's memory."""
    for event in events:
        if isinstance(event, StatisticsArrived):
            assert event.statistics
            continue
        for region, offset, length in event.pieces:
            assert region in pair.memory.regions
            assert length > 0
            if not isinstance(event, Report):
                assert offset % PAGE_SIZE == length % PAGE_SIZE == 0
            assert 0 <= offset <= region.size - length


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 8, 32]))
@settings(max_examples=7 * settings().max_examples)
def test_scribbled_rings_hurt_nobody(seed: int, size: int) -> None:
    source = random.Random(seed)
    pair = BalloonPair(size=size, buffer_size=64)
    for ring in pair.driver.rings.values():
        for _ in range(size):  # something to find at the addresses that come up
            at = source.randrange(0x18000)
            pair.memory.write(at, source.randbytes(64))
        ring.scribble(source, 0x18000 if source.randrange(4) else 16 << 20)
    for queue in pair.driver.rings:
        for _ in range(3):
            check(pair, pair.serve(queue, budget=2 * size))
            pair.device.request_statistics()
            pair.device.pending(queue)
        pair.device.take_notifications()
        pair.device.stop(queue)
    pair.device.reset()


@given(st.binary(max_size=600) | st.lists(st.integers(0, 4096), max_size=100))
@settings(max_examples=7 * settings().max_examples)
def test_page_numbers_never_lead_outside_memory(payload: bytes | list[int]) -> None:
    pair = BalloonPair()
    if isinstance(payload, bytes):
        head = pair.driver.send(Queue.INFLATE, payload)
        pfns = {
            int.from_bytes(payload[at : at + 4], "little") for at in range(0, len(payload) - 3, 4)
        }
    else:
        head = pair.driver.inflate(payload)
        pfns = set(payload)
    (event,) = events = pair.serve(Queue.INFLATE)
    check(pair, events)
    punched = [page for first, count in page_spans(event) for page in range(first, first + count)]
    inside = sorted(pfns.intersection(PAGES))
    assert punched == inside
    assert pair.device.counters["outside_pages"] == len(pfns) - len(inside)
    assert pair.driver.collect(Queue.INFLATE) == [Used(head, 0)]


@given(
    st.lists(st.tuples(QUEUES, st.binary(max_size=600), st.lists(st.integers(0, 40))), max_size=8)
)
@settings(max_examples=5 * settings().max_examples)
def test_any_payload_in_any_framing_is_answered(
    requests: list[tuple[Queue, bytes, list[int]]],
) -> None:
    pair = BalloonPair(size=64)
    for queue, payload, pieces in requests:
        head = pair.driver.send(queue, payload, pieces[:60])
        check(pair, pair.serve(queue))
        pair.device.request_statistics()
        assert pair.driver.collect(queue) == [Used(head, 0)]
        assert pair.device.take_notifications() == [queue]
    assert set(pair.faults()) <= {"outside_pages", "useless_statistics"}


class DeviceModel(RuleBasedStateMachine):
    """Each buffer comes back once, in its order; one for statistics is kept; pauses lose none."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = BalloonPair()
        self.waiting: dict[Queue, list[int]] = {queue: [] for queue in self.pair.driver.rings}
        self.due: dict[Queue, list[Used]] = {queue: [] for queue in self.pair.driver.rings}
        self.held: int | None = None
        self.figure = 0

    def has_room(self, queue: Queue) -> bool:
        return len(self.pair.driver.rings[queue]._free) > 0

    @rule(
        queue=st.sampled_from([Queue.INFLATE, Queue.DEFLATE]),
        pages=st.lists(st.sampled_from(PAGES), max_size=20),
    )
    def send_pages(self, queue: Queue, pages: list[int]) -> None:
        if self.has_room(queue):
            send = self.pair.driver.inflate
            send = self.pair.driver.deflate if queue is Queue.DEFLATE else send
            self.waiting[queue].append(send(pages))

    @rule()
    def send_statistics(self) -> None:
        if self.has_room(Queue.STATS):
            self.figure += 1
            head = self.pair.driver.send_statistics({4: self.figure})
            self.waiting[Queue.STATS].append(head)

    @rule(queue=QUEUES, budget=st.integers(1, 4))
    def serve(self, queue: Queue, budget: int) -> None:
        self.pair.serve(queue, budget)
        done, self.waiting[queue] = self.waiting[queue][:budget], self.waiting[queue][budget:]
        if queue is Queue.STATS and done:
            heads = [*([] if self.held is None else [self.held]), *done]
            *done, self.held = heads
        self.due[queue] += [Used(head, 0) for head in done]

    @rule()
    def request(self) -> None:
        assert self.pair.device.request_statistics() == (self.held is not None)
        if self.held is not None:
            self.due[Queue.STATS].append(Used(self.held, 0))
            self.held = None

    @rule(queue=QUEUES)
    def collect(self, queue: Queue) -> None:
        assert self.pair.driver.collect(queue) == self.due[queue]
        self.due[queue] = []

    @rule(queue=QUEUES, trust_base=st.booleans())
    def pause(self, queue: Queue, trust_base: bool) -> None:
        base = self.pair.device.stop(queue)
        self.pair.start(queue, base if trust_base else None)
        if queue is Queue.STATS and self.held is not None:
            self.waiting[queue].insert(0, self.held)
            self.held = None

    @invariant()
    def the_device_knows_what_waits(self) -> None:
        for queue, waiting in self.waiting.items():
            assert self.pair.device.pending(queue) == bool(waiting)
        assert self.pair.device.statistics_held == (self.held is not None)
        assert set(self.pair.faults()) <= {"extra_statistics"}


TestDeviceModel = DeviceModel.TestCase
TestDeviceModel.settings = settings(stateful_step_count=30)
