"""A good request for each queue, as a driver at its best would send it."""

from collections.abc import Mapping

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import Tag, encode
from aerostat.errors import AerostatError, PeerError
from aerostat.testing.check.checks import Unobservable
from aerostat.testing.check.device.lane import Lane
from aerostat.testing.check.device.machine import Machine
from aerostat.units import MIB

#: What a driver says of its guest.
STATISTICS: Mapping[int, int] = {Tag.FREE_MEMORY: 5 * MIB, Tag.TOTAL_MEMORY: 60 * MIB}


def good_requests(machine: Machine) -> None:
    """Have a good request served on each queue that there is. Raises `AerostatError` if one is not.

    The statistics queue comes to hold a buffer, and so is only seen not to break.
    """
    page = machine.pages[1][-1]
    for queue, lane in machine.lanes.items():
        match queue:
            case Queue.INFLATE | Queue.DEFLATE:
                head = lane.send(machine.pfns(page))
            case Queue.REPORTING:
                head = lane.offer([], [(page * PAGE_SIZE, PAGE_SIZE)])
            case Queue.STATS:
                statistics(machine, lane)
                continue
            case _:
                continue
        (used,) = lane.wait()
        if used.head != head:
            raise PeerError(f"{used.head} came back on the {queue.name} queue, and {head} was sent")


def establish(machine: Machine) -> None:
    """Have good requests served before what a check is about. Raises `Unobservable` otherwise."""
    try:
        good_requests(machine)
    except AerostatError as error:
        raise Unobservable(f"good requests are not served to begin with: {error}") from error


def statistics(machine: Machine, lane: Lane, entries: Mapping[int, int] | None = None) -> int:
    """Send a buffer of statistics; return its head."""
    return lane.send(encode(STATISTICS if entries is None else entries, machine.byteorder))
