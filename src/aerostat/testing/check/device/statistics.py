"""Checks of the statistics queue (virtio 1.2, 5.5.6.3): whose buffer it is, and when.

What the device makes of the figures, only its host can say.
"""

import time

from aerostat.balloon.abi import Queue
from aerostat.errors import LinkError
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import statistics
from aerostat.virtio.features import VERSION_1, bit
from aerostat.virtio.ring import Used

# A host asks again after a second at the soonest; a device that does so by itself, at once.
_TOO_SOON = 0.25
_TOO_OFTEN = 4


@CHECKS.add("DEV-STATS-3", "VQ-DEV-4", needs=["STATS_VQ"])
def a_buffer_is_kept_until_the_host_asks(machine: Machine, judge: Judge) -> None:
    """Send the first buffer, and answer each that comes back with another, as a driver does.

    A device keeps the buffer until somebody wants new figures. One that returns it at once, again
    and again, keeps guest and host busy for nothing.
    """
    machine.start()
    lane = machine.lanes[Queue.STATS]
    head, soon = statistics(machine, lane), 0
    for _ in range(_TOO_OFTEN):
        begin = time.monotonic()
        back = lane.watch(_TOO_SOON)
        if not back:
            break
        _only(judge, back, head)
        soon += time.monotonic() - begin < _TOO_SOON * 2
        head = statistics(machine, lane)
    judge.expect(
        soon < _TOO_OFTEN, "DEV-STATS-3", f"{soon} times, a buffer came back as soon as it was sent"
    )


def _only(judge: Judge, back: list[Used], head: int) -> None:
    heads = [used.head for used in back]
    judge.expect(heads == [head], "DEV-STATS-3", f"{heads} came back, and {head} was sent")
    written = sum(used.written for used in back)
    judge.expect(written == 0, "VQ-DEV-4", f"{written} bytes written to a readable buffer")


@CHECKS.add("DEV-STATS-1", "DEV-STATS-2", needs=["STATS_VQ"])
def any_entries_in_any_order(machine: Machine, judge: Judge) -> None:
    """Send tags that there are and that there are not, forwards and backwards, and many.

    Each buffer must be kept like any other: it comes back when the next one is there.
    """
    machine.start()
    lane = machine.lanes[Queue.STATS]
    known = {tag: tag << 20 for tag in range(10)}
    unknown = dict.fromkeys((16, 0x7FFF, 0xFFFE, 0xFFFF), 1)
    for id_, entries in (
        ("DEV-STATS-2", known),
        ("DEV-STATS-2", dict(reversed(known.items()))),
        ("DEV-STATS-1", known | unknown),
        ("DEV-STATS-1", unknown),
        ("DEV-STATS-1", unknown | known),
    ):
        before = statistics(machine, lane, entries)
        # The one before comes back when there is another, whether the host has asked or not.
        statistics(machine, lane)
        try:
            heads = [used.head for used in lane.wait()]
        except LinkError as error:
            judge.violated(id_, f"after tags {[*entries]}: {error}")
        else:
            judge.expect(before in heads, id_, f"{heads} came back, and not {before}")
        machine.start()
        lane = machine.lanes[Queue.STATS]


@CHECKS.add("LEG-STATS-1", "LEG-STATS-2", needs=["STATS_VQ"])
def the_first_buffer_of_a_legacy_driver(machine: Machine, judge: Judge) -> None:
    """Send garbage first, without VERSION_1, and then figures: both are kept like any other."""
    if not machine.try_start(machine.offered & ~bit(VERSION_1)):
        for id_ in judge.ids:
            judge.unobservable(id_, "the device takes no driver without VERSION_1")
        return
    lane = machine.lanes[Queue.STATS]
    first = lane.send(bytes(range(256)) * 4)
    back = lane.watch(machine.hush)
    if not back:
        statistics(machine, lane)
        back = lane.wait()
    heads = [used.head for used in back]
    judge.expect(heads == [first], "LEG-STATS-2", f"{heads} came back, and not {first}")
    judge.unobservable("LEG-STATS-1", "what the device reads in a buffer, only its host can say")
