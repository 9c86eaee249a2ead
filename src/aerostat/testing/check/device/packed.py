"""Checks of packed rings (virtio 1.2, 2.8), beside those that are played on rings of both kinds."""

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.lane import Lane
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.mocks.packed_ring import DriverPackedRing
from aerostat.virtio.chain import DESCRIPTOR_SIZE

_ROUNDS = 5
_PFN = 4


def _packed(machine: Machine) -> tuple[Lane, DriverPackedRing]:
    lane = machine.lanes[Queue.INFLATE]
    if not isinstance(lane.ring, DriverPackedRing):
        raise Unobservable("the ring is a split one")
    return lane, lane.ring


@CHECKS.add("PK-1", needs=["RING_PACKED"])
def packed_rings_go_round(machine: Machine, judge: Judge) -> None:
    """Send requests of one descriptor through some rounds of rings of 1, 3, 64 and 100.

    All pages must be taken, and each request come back once.
    """
    for size in (1, 3, 64, 100):
        _go_round(machine, judge, "PK-1", size, 1)


@CHECKS.add("PK-3", needs=["RING_PACKED"])
def lists_go_round(machine: Machine, judge: Judge) -> None:
    """Send requests of several descriptors through some rounds of rings that they do not divide.

    Each must be used once, and the next be found after it.
    """
    for size, length in ((5, 3), (64, 3), (100, 7)):
        _go_round(machine, judge, "PK-3", size, length)


def _go_round(machine: Machine, judge: Judge, id_: str, size: int, length: int) -> None:
    machine.start(size=size)
    lane, _ = _packed(machine)
    pages = Pages(machine, machine.pages[1][:length])
    for turn in range(_ROUNDS * size // length + 1):
        pages.fill()
        head = lane.send(machine.pfns(*pages.numbers), [_PFN] * (length - 1))
        (used,) = lane.wait()
        judge.expect(used.head == head, id_, f"buffer {used.head} came back for {head}")
        late = pages.released(pages.numbers)
        if late:
            judge.violated(id_, f"{shown(late)} left, by request {turn} of a ring of {size}")
            return


@CHECKS.add("PK-3", needs=["RING_PACKED"])
def a_list_is_used_by_one_descriptor(machine: Machine, judge: Judge) -> None:
    """Send a list of four descriptors, and look at what is written over them."""
    machine.start()
    lane, ring = _packed(machine)
    length = 4
    lane.send(machine.pfns(*machine.pages[1][:length]), [_PFN] * (length - 1))
    lane.wait()
    machine.transport.settle()
    marked = ring.used_ids()
    judge.expect(
        len(marked) == 1, "PK-3", f"{len(marked)} descriptors are marked as used for one list"
    )


@CHECKS.add("PK-6", needs=["RING_PACKED"])
def event_structures_are_kept(machine: Machine, judge: Judge) -> None:
    """Look at both event structures after requests, and see that all are notified of.

    The device may write its own alone, and a single descriptor's only with EVENT_IDX.
    """
    machine.start()
    lane, ring = _packed(machine)
    for _ in range(3):
        lane.send(machine.pfns(machine.pages[1][0]))
        called = lane.called(machine.patience)
        lane.wait()
        judge.expect(called, "PK-6", "a buffer came back unsaid, though all are asked for")
    drivers = machine.memory.read(ring.layout.avail, 4)
    judge.expect(not any(drivers), "PK-6", f"{drivers.hex()} in the driver's event structure")
    flags = int.from_bytes(machine.memory.read(ring.layout.used + 2, 2), "little")
    most = 2 if machine.has("EVENT_IDX") else 1
    judge.expect(flags <= most, "PK-6", f"event flags {flags} of the device")


@CHECKS.add("VQ-DEV-1", needs=["RING_PACKED"])
def nothing_is_written_but_used_descriptors(machine: Machine, judge: Judge) -> None:
    """Send a list of three descriptors, and compare the ring and the request before and after."""
    machine.start()
    lane, ring = _packed(machine)
    length = 3
    payload, _ = lane.put(machine.pfns(*machine.pages[1][:length]))
    ring.add([(payload + number * _PFN, _PFN) for number in range(length)])
    # Before it is told of them, or a quick device would have been through with them.
    request = machine.memory.read(payload, length * _PFN)
    descriptors = machine.memory.read(ring.layout.desc, ring.size * DESCRIPTOR_SIZE)
    lane.kick()
    lane.wait()
    machine.transport.settle()
    after = machine.memory.read(ring.layout.desc, ring.size * DESCRIPTOR_SIZE)
    judge.expect(
        after[DESCRIPTOR_SIZE:] == descriptors[DESCRIPTOR_SIZE:],
        "VQ-DEV-1",
        "descriptors are written to other than the first of a list",
    )
    kept = machine.memory.read(payload, length * _PFN) == request
    judge.expect(kept, "VQ-DEV-1", "a readable buffer is written to")
