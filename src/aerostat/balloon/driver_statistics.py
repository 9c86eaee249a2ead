"""The driver's side of the statistics queue (virtio 1.2, 5.5.6.3).

Touches guest memory through its lane. Runs inside guests. One buffer is out at any time: the
device keeps it until it wants news, and asks by giving it back.
"""

from __future__ import annotations

from collections.abc import Mapping

from aerostat.balloon.driver_events import Event, StatisticsWanted
from aerostat.balloon.driver_lane import MAX_STATISTICS, Lane
from aerostat.balloon.statistics import ENTRY_SIZE, encode
from aerostat.errors import UsageError
from aerostat.virtio.memory import Byteorder


class Answers:
    """What is sent to the device: the same tags each time, in the same order."""

    __slots__ = ("_byteorder", "_lane", "_tags")

    def __init__(self, lane: Lane[Event], byteorder: Byteorder) -> None:
        self._lane = lane
        self._byteorder: Byteorder = byteorder
        self._tags: tuple[int, ...] = ()

    def begin(self, statistics: Mapping[int, int], *, primed: bool) -> None:
        """Send the first buffer, which settles the tags; `primed` or as it lies in memory.

        Raises `UsageError` for too few, too many or impossible statistics.
        """
        if not 0 < len(statistics) <= MAX_STATISTICS:
            raise UsageError(f"there must be 1 to {MAX_STATISTICS} statistics")
        payload = encode(statistics, self._byteorder)
        self._tags = tuple(statistics)
        if primed:
            self._lane.send(payload, StatisticsWanted())
        else:
            self._lane.send_as_it_lies(len(self._tags) * ENTRY_SIZE, StatisticsWanted())

    def send(self, statistics: Mapping[int, int]) -> None:
        """Answer the device; nothing happens on a queue that it broke.

        Raises `UsageError` if it has not asked (5.5.6.3.1), or for other tags than the first.
        """
        if self._lane.request is not None:
            raise UsageError("the device has not asked for statistics")
        if statistics.keys() != set(self._tags):
            raise UsageError("every buffer has the statistics that the first one had")
        payload = encode({tag: statistics[tag] for tag in self._tags}, self._byteorder)
        if self._lane.idle:
            self._lane.send(payload, StatisticsWanted())
