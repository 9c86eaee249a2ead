"""What happens to a balloon driver, told to whoever runs it.

Pure; runs inside guests. Virtio 1.2, 5.5.6, the driver's side.
"""

from __future__ import annotations

from typing import NamedTuple, Union

from aerostat.balloon.abi import Queue

Range = tuple[int, int]  # guest address, length; in bytes


class Inflated(NamedTuple):
    """The device has these pages, by number; they are in the balloon now."""

    pages: list[int]


class Deflated(NamedTuple):
    """The device let go of these pages: they may be used.

    Their content is anything (5.5.6.1). If PAGE_POISON was negotiated, fill each of them with
    the poison value before it is used (5.5.6.6.1).
    """

    pages: list[int]


class StatisticsWanted(NamedTuple):
    """The device asks for new statistics: answer with `BalloonDriver.send_statistics`."""


class Reported(NamedTuple):
    """The device has seen these free ranges: they may be used again.

    Without PAGE_POISON their content is anything; with it, what it was (5.5.6.7.1).
    """

    ranges: list[Range]


class Hinted(NamedTuple):
    """The device has seen these free ranges, or, where there are none, a command id.

    They are kept until `Hints.released`.
    """

    ranges: list[Range]


class DeviceBroken(NamedTuple):
    """The device broke `queue`; what it had of it is not the guest's until the device is reset."""

    queue: Queue
    problem: str


Event = Union[Inflated, Deflated, StatisticsWanted, Reported, Hinted, DeviceBroken]
