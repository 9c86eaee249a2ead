"""What a link and the guest that it serves know of each other: kernel, driver, states.

Declarations and their checks, no more. Standard library only.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from aerostat.balloon.driver_features import DEFAULT_FEATURES, KNOWN_FEATURES, NumberingRule
from aerostat.errors import UsageError
from aerostat.virtio.features import VERSION_1, has
from aerostat.virtio.memory import Byteorder

#: Larger rings have no room in what is reserved.
MAX_QUEUE_SIZE = 256

#: What a link needs of the guest's memory for rings and the driver's buffers: so many bytes from
#: the first address on. The kernel gives no page from there.
RESERVED_SIZE = 64 * 1024


class Kernel(Protocol):
    """What a link asks of a guest's kernel. Page numbers are of 4096-byte pages.

    None of it may call the link's methods back.
    """

    def statistics(self) -> Mapping[int, int]:
        """Return the statistics by tag, always of the same tags."""

    def take_pages(self, count: int) -> Sequence[int]:
        """Take at most `count` pages away from the guest, and return their numbers.

        Fewer, or none, where no more are to be had; the link asks again after a while. The guest
        does not touch them until they are given back.
        """

    def give_back(self, pfns: Sequence[int]) -> None:
        """Take pages back from the balloon. There may be anything in them, mostly zeros."""

    def reported(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Learn that the device has seen these free ranges, which may be used again."""

    def hint(self, room: int) -> Sequence[tuple[int, int]]:
        """Return at most `room` free ranges (address, length in bytes); none: there are no more.

        They are best left alone until `hints_done`; used before, they are to be written to first.
        """

    def hints_done(self) -> None:
        """Learn that all that was hinted may be used again; often nothing was."""


class State(Enum):
    """How far a link has come."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"  # as a VM whose processors are stopped
    UNLOADED = "unloaded"  # connected, without a driver
    LOST = "lost"  # the device is; the link's `error` says how
    CLOSED = "closed"


class DriverOptions(NamedTuple):
    """Which driver a guest runs: what it wants of a device, and its habits.

    Without VERSION_1 among `features` it is a legacy one, whose `byteorder` is the guest's own.
    `poison` is written where PAGE_POISON is agreed on. `queue_size` is a power of two. See
    `aerostat.balloon.driver`.
    """

    features: int = DEFAULT_FEATURES
    byteorder: Byteorder = "little"
    statistics_first: Literal["primed", "uninitialised"] = "primed"
    numbering: NumberingRule = "offered"
    relies_on_zeroed: bool = False
    poison: int = 0
    queue_size: int = 128


def checked(options: DriverOptions) -> DriverOptions:
    """Return `options`; raise `UsageError` for what no driver can have."""
    size = options.queue_size
    if not 0 < size <= MAX_QUEUE_SIZE or size & (size - 1):
        raise UsageError(f"queues have a power of two of entries, to {MAX_QUEUE_SIZE}, not {size}")
    if options.features & ~KNOWN_FEATURES:
        raise UsageError(f"no driver knows features {options.features & ~KNOWN_FEATURES:#x}")
    if has(options.features, VERSION_1) and options.statistics_first == "uninitialised":
        raise UsageError("only legacy drivers sent statistics uninitialised")
    return options
