"""One queue in the hands of a check: a driver's ring, room for requests, kicks and calls.

Touches guest memory, and a transport that notifies. Everything that waits looks at the ring itself
too, so that a device that forgets to notify is found out by the checks of that, and no others.
"""

from collections.abc import Iterable
from typing import Protocol

from aerostat.balloon.abi import Queue
from aerostat.errors import LinkError
from aerostat.testing.check.deadline import Deadline
from aerostat.virtio.ring import Buffer, DriverSide, Used

#: Bytes that a request may have, and how many there is room for at a time.
BUFFER_SIZE = 1024
BUFFERS = 64

# How long a ring is not looked at, in seconds, unless the device calls.
_LOOK_EVERY = 0.005


class Notifier(Protocol):
    """What a transport does for one queue."""

    def kick(self, index: int) -> None:
        """Tell the device that queue `index` has buffers."""
        ...

    def called(self, index: int, seconds: float = 0) -> bool:
        """Return whether the device has told of used buffers, or does so within `seconds`."""
        ...


class Lane:
    """A queue with its ring; requests of up to `BUFFER_SIZE` bytes are put at `buffers` on."""

    def __init__(
        self,
        queue: Queue,
        index: int,
        ring: DriverSide,
        buffers: int,
        notifier: Notifier,
        deadline: Deadline,
        patience: float,
    ) -> None:
        self.queue = queue
        self.index = index
        self.ring = ring
        self.buffers = buffers
        self.back: list[Used] = []
        """All that came back and nobody asked for."""
        self._slot = 0  # of the next request
        self._notifier = notifier
        self._deadline = deadline
        self._patience = patience

    @property
    def end(self) -> int:
        """The first address after the queue's ring and its room for requests."""
        return self.buffers + BUFFERS * BUFFER_SIZE

    def put(self, payload: bytes) -> Buffer:
        """Write a payload where the next request has its room; return where that is."""
        address = self.buffers + self._slot * BUFFER_SIZE
        self._slot = (self._slot + 1) % BUFFERS
        self.ring.memory.write(address, payload)
        return address, len(payload)

    def send(self, payload: bytes, cuts: Iterable[int] = ()) -> int:
        """Send a payload, in descriptors of these lengths and one for the rest; return the head."""
        address, rest = self.put(payload)
        buffers = []
        for length in cuts:
            buffers.append((address, length))
            address, rest = address + length, rest - length
        return self.offer([*buffers, (address, rest)])

    def offer(
        self, readable: Iterable[Buffer], writable: Iterable[Buffer] = (), *, table: int = 0
    ) -> int:
        """Make a chain of these buffers available and kick; return its head."""
        head = self.ring.add(readable, writable, table=table)
        self.kick()
        return head

    def kick(self) -> None:
        """Tell the device that there are buffers, whether there are or not."""
        self._notifier.kick(self.index)

    def called(self, seconds: float = 0) -> bool:
        """Return whether the device has notified, or does so within `seconds`; once each time."""
        return self._notifier.called(self.index, self._deadline.left(seconds) if seconds else 0)

    def collect(self) -> list[Used]:
        """Return what has come back by now. Raises `BrokenRing` for what the device never had."""
        back, self.back = [*self.back, *self.ring.collect()], []
        return back

    def wait(self, count: int = 1, seconds: float | None = None) -> list[Used]:
        """Return the next `count` chains that come back. Raises `LinkError` if they do not."""
        limit = Deadline(self._deadline.left(seconds or self._patience))
        back = self.collect()
        while len(back) < count:
            if limit.over:
                raise LinkError(
                    f"{len(back)} of {count} buffers of the {self.queue.name} queue came back"
                    f" within {limit.seconds:.1f} s"
                )
            self._notifier.called(self.index, _LOOK_EVERY)
            back += self.ring.collect()
        self.back = back[count:]
        return back[:count]

    def request(self, payload: bytes, cuts: Iterable[int] = ()) -> Used:
        """Send a payload and wait until its buffer comes back."""
        self.send(payload, cuts)
        return self.wait()[0]

    def watch(self, seconds: float) -> list[Used]:
        """Return what comes back within `seconds`, all of which are waited for."""
        limit = Deadline(self._deadline.left(seconds))
        back = self.collect()
        while not limit.over:
            self._notifier.called(self.index, _LOOK_EVERY)
            back += self.ring.collect()
        return back
