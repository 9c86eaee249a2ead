"""What happens on a balloon device, as whoever serves it sees it (virtio 1.2, 5.5.6).

Pure. Those with a `chain` must be completed, in turn; of a large request there are several, and
`last` is false while more of it follows.
"""

from typing import NamedTuple

from aerostat.virtio.chain import Chain
from aerostat.virtio.memory import Piece


class Inflate(NamedTuple):
    """The guest gives these pages. Punch them, then `complete` the event."""

    pieces: list[Piece]
    chain: Chain
    last: bool


class Deflate(NamedTuple):
    """The guest takes these pages back. `complete` the event; nothing else is needed."""

    pieces: list[Piece]
    chain: Chain
    last: bool


class Report(NamedTuple):
    """These bytes are free, until the event is completed: punch them before, or never.

    Free page reporting (5.5.6.7). They are the guest's again right after, and it need not say so;
    nothing may be remembered of them.
    """

    pieces: list[Piece]
    chain: Chain
    last: bool


class Hint(NamedTuple):
    """These bytes were free a moment ago, and the guest may use them at any time.

    Free page hinting (5.5.6.5), of the current round only; there are none in a command id, nor in
    a hint of another round. They may be punched only if it is known that the guest has not written
    to them since the round's id was set (5.5.6.5.2), and never once it is over. `complete` the
    event; nothing else is needed.
    """

    pieces: list[Piece]
    chain: Chain
    last: bool


class StatisticsArrived(NamedTuple):
    """The guest's memory statistics: value by tag."""

    statistics: dict[int, int]


class ConfigChanged(NamedTuple):
    """The device changed its configuration: announce it to the driver."""


class ActualChanged(NamedTuple):
    """The driver says that the balloon now has `balloon_size` bytes."""

    balloon_size: int


Request = Inflate | Deflate | Report | Hint
Event = Request | StatisticsArrived
