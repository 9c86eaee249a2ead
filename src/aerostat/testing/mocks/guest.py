"""A whole guest for tests of device processes: a front-end, shared memory, and a running driver.

What `frontend` and `driver` do apart, put together as a VMM and its guest would be.
Everything that waits gives up after `frontend.TIMEOUT`. Linux only; standard library only.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import Tag
from aerostat.testing.mocks.driver import BalloonDriver, Used
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, MockFrontend, SharedFile
from aerostat.virtio.memory import Byteorder

QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS)
RING_COUNT = 5

# Linux sends so many pages in one request (VIRTIO_BALLOON_ARRAY_PFNS_MAX).
_REQUEST_PAGES = 256


class MockGuest:
    """A front-end at the device's `path` with a running driver, whose rings begin at `rings`.

    Queues are numbered densely, in the order of `queues`. `features` are the driver's (None: all
    that are offered), `byteorder` is that of a legacy driver's rings and buffers,
    `protocol_features` are agreed on where the device offers them. `make_driver` makes a driver
    that begins with nothing.
    """

    def __init__(
        self,
        path: str,
        memory: SharedFile,
        rings: int,
        *,
        features: int | None = None,
        queues: Collection[Queue] = QUEUES,
        byteorder: Byteorder = "little",
        protocol_features: int = PROTOCOL_FEATURES,
    ) -> None:
        self.memory = memory
        self.queues = tuple(queues)
        self.frontend = MockFrontend(path, memory, protocol_features=protocol_features)
        self.frontend.negotiate(features)
        self.make_driver = partial(
            BalloonDriver, memory.memory, rings, queues=queues, byteorder=byteorder
        )
        self.driver = self.make_driver()
        # Touched beforehand, so that what the file holds changes by the balloon alone.
        memory.memory.write(rings, memory.memory.read(rings, self.driver.end - rings))
        self.start()

    def start(self, bases: Sequence[int] | None = None) -> None:
        """Start every ring, from the index of `bases` (all 0) that is its own."""
        big_endian = self.driver.byteorder == "big"
        for index, queue in enumerate(self.queues):
            ring, base = self.driver.rings[queue], bases[index] if bases else 0
            self.frontend.describe_ring(index, ring, base, big_endian=big_endian)
        for index in range(RING_COUNT):  # as QEMU does: those without addresses too
            self.frontend.enable_ring(index)

    def stop(self) -> list[int]:
        """Stop every ring; return the indices to start them from again."""
        return [self.frontend.stop_ring(index) for index, _ in enumerate(self.queues)]

    def reload(self) -> None:
        """Have another driver, as after a reboot: its rings begin with nothing."""
        self.stop()
        self.frontend.choose(self.frontend.features)
        self.driver.release()
        self.driver = self.make_driver()
        self.start()

    def kick(self, queue: Queue) -> None:
        """Tell the device that `queue` has buffers."""
        self.frontend.kick(self.queues.index(queue))

    def wait_for(self, queue: Queue, count: int = 1) -> list[Used]:
        """Wait until the device has given back so many chains of `queue`, and return them."""
        used = self.driver.collect(queue)
        while len(used) < count:
            self.frontend.wait_for_call(self.queues.index(queue))
            used += self.driver.collect(queue)
        return used

    def send_statistics(self, **statistics: int) -> None:
        """Send statistics by name, such as ``free_memory``."""
        self.driver.send_statistics({Tag[name.upper()]: n for name, n in statistics.items()})
        self.kick(Queue.STATS)

    def balloon(self, queue: Queue, pfns: Sequence[int]) -> None:
        """Inflate or deflate these pages, as Linux does: one request at a time."""
        for start in range(0, len(pfns), _REQUEST_PAGES):
            send = self.driver.inflate if queue is Queue.INFLATE else self.driver.deflate
            send(pfns[start : start + _REQUEST_PAGES])
            self.kick(queue)
            assert len(self.wait_for(queue)) == 1

    def report(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Report these (address, length) as free, and wait until the device knows."""
        self.driver.report(ranges)
        self.kick(Queue.REPORTING)
        assert len(self.wait_for(Queue.REPORTING)) == 1

    def say_actual(self, size: int) -> None:
        """Write that the balloon has `size` bytes."""
        self.frontend.write_config(4, (size // PAGE_SIZE).to_bytes(4, "little"))

    def close(self) -> None:
        """Disconnect; the memory stays."""
        self.frontend.close()
        self.driver.release()
