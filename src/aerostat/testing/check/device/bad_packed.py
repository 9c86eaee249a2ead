"""Bad packed rings, played on a device (virtio 1.2, 2.8): lists that no driver should write.

After each, a good request is served, at once or, where the ring makes no sense, once the device has
asked to be reset and was. What lists say, good or bad, is the same as on split rings: `bad_input`.
"""

import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.errors import LinkError
from aerostat.testing.check.checks import Check, Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.conformance.bad_ground import SCRATCH
from aerostat.testing.mocks.packed_ring import DriverPackedRing, Raw, chained
from aerostat.virtio.chain import INDIRECT, NEXT, WRITE

_ID = "BAD-DEV-6"
# No case leaves a list with this id to the device.
_GOOD = 61
_BAD = 5
_FAR = 1 << 40
_LOOK_EVERY = 0.001


class Scratch(NamedTuple):
    """A packed ring, and the scratch memory: addresses within its size count from its beginning."""

    ring: DriverPackedRing
    begin: int

    @property
    def size(self) -> int:
        """How many descriptors the ring has."""
        return self.ring.size

    def write(self, *descriptors: Raw, available: int | None = None) -> None:
        """Write a list, whatever it is, as the ring's own `write`."""
        moved = [
            raw._replace(address=self.begin + raw.address) if raw.address < SCRATCH else raw
            for raw in descriptors
        ]
        self.ring.write(*moved, available=available)

    def put_table(self, entries: Sequence[tuple[int, int]]) -> None:
        """Write an indirect table of these (length, flags) to the scratch memory."""
        zeros = self.begin + PAGE_SIZE
        packed = b"".join(struct.pack("<QIHH", zeros, size, 0, flags) for size, flags in entries)
        self.ring.memory.write(self.begin, packed)


class BadList(NamedTuple):
    """Something to write into a packed ring."""

    name: str
    write: Callable[[Scratch], object]


def _raw(length: int = 4, flags: int = 0, *, id_: int = _BAD) -> Raw:
    """Return a descriptor of zeros in the scratch memory, which name page 0."""
    return Raw(PAGE_SIZE, length, id_, flags)


def _list(name: str, *descriptors: Raw, available: int | None = None) -> BadList:
    return BadList(name, lambda ring: ring.write(*descriptors, available=available))


def _table(name: str, length: int, *entries: tuple[int, int], address: int = 0) -> BadList:
    """Return the case of an indirect table, whose entries are (length, flags)."""

    def write(ring: Scratch) -> None:
        ring.put_table(entries)
        ring.write(Raw(address, length, _BAD, INDIRECT))

    return BadList(name, write)


def _twice(ring: Scratch) -> None:
    ring.write(_raw())
    ring.write(_raw())


def _asks_for_nonsense(ring: Scratch) -> None:
    ring.ring.want_notifications(3)
    ring.write(_raw())


LISTS = (
    BadList("a list without an end", lambda ring: ring.write(*[_raw(flags=NEXT)] * ring.size)),
    # One is left for the good request: what is used in the second round is not looked for.
    BadList("a long list", lambda ring: ring.write(*chained([_raw()] * (ring.size - 1)))),
    _list("a list that is not all there", _raw(flags=NEXT), _raw(), available=1),
    BadList("one buffer id twice", _twice),
    _list("the largest buffer id", _raw(id_=0xFFFF)),
    _list("a readable buffer after a writable one", *chained([_raw(flags=WRITE), _raw()])),
    _list("an empty buffer", _raw(0)),
    _list("a buffer of 4 GiB", _raw((1 << 32) - 1)),
    _list("a buffer beyond memory", Raw(_FAR, 4, _BAD)),
    _list("a buffer that wraps around", Raw((1 << 64) - 4, 8, _BAD)),
    _list("reserved flags", _raw(flags=0x7F78)),
    _list("an indirect table in a list", *chained([_raw(16, INDIRECT), _raw()])),
    _list("an indirect table after a buffer", *chained([_raw(), _raw(16, INDIRECT)])),
    _table("an indirect table in another", 16, (16, INDIRECT)),
    _table("an indirect table that goes on", 32, (4, NEXT), (4, 0)),
    *(_table(f"an indirect table of {n} bytes", n, (4, 0)) for n in (0, 15, 17, (1 << 32) - 16)),
    _table("an indirect table beyond memory", 16, address=_FAR),
    BadList("notifications of an unknown kind", _asks_for_nonsense),
)


def _play(machine: Machine, judge: Judge, bad: BadList) -> None:
    ring = _start(machine)
    watched = Pages(machine, [*machine.pages[0][:8], *machine.pages[1][:4]])
    bad.write(Scratch(ring, machine.scratch_at))
    lane = machine.lanes[Queue.INFLATE]
    lane.kick()
    machine.transport.settle()
    if not _serves(machine, ring):
        judge.expect(
            machine.transport.needs_reset(),
            _ID,
            "a good request after it is not served, and it does not ask to be reset",
        )
        ring = _start(machine)
        judge.expect(
            _serves(machine, ring), _ID, "a good request is not served after a reset either"
        )
    wrong = watched.changed()
    judge.expect(not wrong, _ID, f"{shown(wrong)} taken, which nobody named")


def _start(machine: Machine) -> DriverPackedRing:
    machine.start()
    ring = machine.lanes[Queue.INFLATE].ring
    if not isinstance(ring, DriverPackedRing):
        raise Unobservable("the ring is a split one")
    return ring


def _serves(machine: Machine, ring: DriverPackedRing) -> bool:
    """Send a good request, of page 0, and return whether it comes back."""
    lane = machine.lanes[Queue.INFLATE]
    Scratch(ring, machine.scratch_at).write(_raw(id_=_GOOD))
    lane.kick()
    end = time.monotonic() + machine.deadline.left(machine.hush)
    while _GOOD not in ring.used_ids() and time.monotonic() < end:
        lane.called(_LOOK_EVERY)
    return _GOOD in ring.used_ids()


def _check(bad: BadList) -> Check[Machine]:
    def play(machine: Machine, judge: Judge) -> None:
        try:
            _play(machine, judge, bad)
        except LinkError as error:
            # To hang up is to ask for a new beginning.
            if error.retryable:
                raise
        except ConnectionError:
            return

    how = (
        f"Write it into a packed ring, {len(LISTS)} kinds of it in all. A good request must be "
        "served afterwards, at once or when the device has asked to be reset."
    )
    return Check("bad-lists", (_ID,), how, play, ("RING_PACKED",), parameter=bad.name)


for _one in LISTS:
    CHECKS.put(_check(_one))
