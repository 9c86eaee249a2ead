"""The device that watches its driver: each offence is noted, and a good driver has none."""

from collections.abc import Callable

import pytest

from aerostat.balloon.abi import DEFLATE_ON_OOM, MUST_TELL_HOST, Queue
from aerostat.balloon.device import DEFAULT_FEATURES, Inflate, StatisticsArrived
from aerostat.testing.conformance.watched_device import WatchedDevice
from aerostat.testing.mocks.driver import BalloonDriver, Used, make_memory
from aerostat.virtio.features import bit
from aerostat.virtio.split_ring import SplitRing

MIB = 1 << 20
QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS, Queue.REPORTING)


class Watch:
    """A driver and the device that watches it, over the same memory."""

    def __init__(self, features: int = DEFAULT_FEATURES) -> None:
        self.memory = make_memory((0, 4 * MIB))
        self.driver = BalloonDriver(self.memory, MIB, queues=QUEUES)
        self.device = WatchedDevice(max_pages=1024)
        self.device.accept(features)
        self.device.write_config(12, bytes(4))
        for queue, ring in self.driver.rings.items():
            parts = (ring.desc, ring.avail, ring.used)
            self.device.start(queue, SplitRing(self.memory, ring.size, *parts))
        self.device.set_target(8)

    def serve(self) -> None:
        for queue in self.driver.rings:
            for event in self.device.service(queue):
                if not isinstance(event, StatisticsArrived):
                    self.device.complete(event)

    def balloon(self, queue: Queue, *pfns: int) -> None:
        send = self.driver.inflate if queue is Queue.INFLATE else self.driver.deflate
        send(pfns)
        self.serve()

    def say_actual(self, pages: int) -> None:
        self.device.write_config(4, pages.to_bytes(4, "little"))

    def send(self, *tags: int) -> None:
        self.device.request_statistics()
        self.driver.collect(Queue.STATS)
        self.driver.send_statistics(dict.fromkeys(tags, 1))
        self.serve()


def test_a_good_driver_commits_no_offence() -> None:
    watch = Watch()
    watch.send()  # the first, empty
    watch.send(4, 5)
    watch.send(5, 4)
    watch.balloon(Queue.INFLATE, 3, 4, 5, 6)
    watch.balloon(Queue.INFLATE, 10, 9, 8, 7)
    watch.say_actual(8)
    watch.driver.rings[Queue.REPORTING].add([], [(3 * MIB, MIB)])
    watch.balloon(Queue.INFLATE, 11)  # a page is moved
    watch.balloon(Queue.DEFLATE, 3)
    assert watch.device.balloon == {4, 5, 6, 7, 8, 9, 10, 11}
    watch.device.set_target(4)
    watch.balloon(Queue.DEFLATE, 4, 5, 6, 7)
    watch.say_actual(4)
    assert watch.device.balloon == {8, 9, 10, 11}
    assert watch.device.actual_writes == [8, 4]
    assert watch.device.tags == [(4, 5), (5, 4)]
    assert watch.device.reported == [(3 * MIB, MIB)]
    assert watch.device.offences == []


def must_tell(watch: Watch) -> None:
    watch.__init__(DEFAULT_FEATURES & ~bit(MUST_TELL_HOST))  # type: ignore[misc]


def command_id(watch: Watch) -> None:
    watch.device.write_config(8, bytes(4))


def actual_in_bytes(watch: Watch) -> None:
    for at in range(4, 8):
        watch.device.write_config(at, b"\1")


def torn_request(watch: Watch) -> None:
    watch.driver.send(Queue.INFLATE, b"\3\0\0\0\4")


def empty_request(watch: Watch) -> None:
    watch.driver.rings[Queue.INFLATE].add([(8 * MIB, 4)])  # not in memory


def writable_request(watch: Watch) -> None:
    watch.driver.rings[Queue.DEFLATE].add([], [(2 * MIB, 4)])


def twice_in_one(watch: Watch) -> None:
    watch.driver.inflate([3, 3])


def twice(watch: Watch) -> None:
    watch.driver.inflate([3, 4])
    watch.driver.inflate([4, 5])


def foreign(watch: Watch) -> None:
    watch.device.set_target(0)
    watch.driver.deflate([3])


def unasked(watch: Watch) -> None:
    features = DEFAULT_FEATURES & ~bit(DEFLATE_ON_OOM)
    watch.__init__(features)  # type: ignore[misc]
    watch.balloon(Queue.INFLATE, *range(100, 108))
    watch.balloon(Queue.DEFLATE, 100)


def too_soon(watch: Watch) -> None:
    watch.device.holding.add(Queue.INFLATE)
    watch.balloon(Queue.INFLATE, 3)
    watch.balloon(Queue.DEFLATE, 3)


def used_too_soon(watch: Watch) -> None:
    watch.balloon(Queue.INFLATE, 3)
    watch.device.holding.add(Queue.DEFLATE)
    watch.balloon(Queue.DEFLATE, 3)
    watch.balloon(Queue.INFLATE, 3)


def impatient(watch: Watch) -> None:
    watch.driver.send_statistics({4: 1})
    watch.driver.send_statistics({4: 1})


def torn_statistics(watch: Watch) -> None:
    watch.driver.send(Queue.STATS, bytes(15))


def useless(watch: Watch) -> None:
    watch.send(4)
    watch.send()


def unlike(watch: Watch) -> None:
    watch.send(4)
    watch.send(4, 5)


def late_poison(watch: Watch) -> None:
    watch.balloon(Queue.INFLATE, 3)
    watch.device.write_config(12, b"\xaa" * 4)


def no_poison(watch: Watch) -> None:
    watch.device._poison_written = False
    watch.balloon(Queue.INFLATE, 3)


def unfilled(watch: Watch) -> None:
    watch.memory.write(3 * MIB, b"x")
    watch.driver.rings[Queue.REPORTING].add([], [(2 * MIB, 2 * MIB)])


@pytest.mark.parametrize(
    ("offend", "ids"),
    [
        (must_tell, ["DRV-FEAT-1"]),
        (command_id, ["CFG-2"]),
        (actual_in_bytes, ["LEG-OP-2"] * 4),
        (torn_request, ["DRV-OP-13"]),
        (empty_request, ["DRV-OP-13"]),
        (writable_request, ["DRV-OP-13", "DRV-OP-13"]),
        (twice_in_one, ["DRV-OP-14"]),
        (twice, ["DRV-OP-14"]),
        (foreign, ["DRV-OP-14"]),
        (unasked, ["DRV-OP-4"]),
        (too_soon, ["DRV-OP-10"]),
        (used_too_soon, ["DRV-OP-7"]),
        (impatient, ["DRV-STATS-1"]),
        (torn_statistics, ["DRV-STATS-5"]),
        (useless, ["DRV-STATS-4", "DRV-STATS-8"]),
        (unlike, ["DRV-STATS-8"]),
        (late_poison, ["DRV-POISON-3"]),
        (no_poison, ["DRV-POISON-2"]),
        (unfilled, ["DRV-REP-2"]),
    ],
)
def test_an_offence_is_noted_under_its_statement(
    offend: Callable[[Watch], None], ids: list[str]
) -> None:
    watch = Watch()
    offend(watch)
    watch.serve()

    assert [offence.id for offence in watch.device.offences] == ids


def test_of_a_write_of_the_whole_space_nothing_is_said() -> None:
    watch = Watch()
    watch.device.write_config(0, bytes(4) + (5).to_bytes(4, "little") + bytes(8))

    assert watch.device.actual_writes == [5]
    assert watch.device.offences == []


def test_a_request_is_held_until_it_is_released() -> None:
    watch = Watch()
    watch.device.holding.add(Queue.INFLATE)
    first, second = watch.driver.inflate([3]), watch.driver.inflate([4])
    watch.serve()
    (held,) = watch.device.held
    assert isinstance(held, Inflate)
    assert not watch.device.pending(Queue.INFLATE)
    assert watch.device.inflating == {3}
    assert watch.driver.collect(Queue.INFLATE) == []

    watch.device.release(Queue.INFLATE)
    assert watch.driver.collect(Queue.INFLATE) == [Used(first, 0), Used(second, 0)]
    assert watch.device.take_notifications() == [Queue.INFLATE]
    assert watch.device.balloon == {3, 4}


def test_with_a_reset_the_balloon_is_the_guests_again() -> None:
    watch = Watch()
    watch.balloon(Queue.INFLATE, 3)
    watch.send(4)
    watch.device.reset()

    assert watch.device.balloon == set()
    assert watch.device.tags == []
