"""What every connector promises (no I/O here).

A connector knows the guests of one source, reads all of them at once, and sets targets. Guests
come and go, hang and lie; the promises below hold all the same, so that one bad guest costs only
itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aerostat.errors import AerostatError


class GuestInfo(NamedTuple):
    """A guest there is now.

    `key` identifies it within one manager (``qmp:/run/a.sock``), `name` is what people call it
    (printable, but neither unique nor trusted), `source` says where it was found.
    """

    key: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was learnt about one guest at one moment. Memory in bytes, time in monotonic seconds.

    Nothing in it is implausible in form (no negative sizes, no size beyond the maximum); whether
    the guest tells the truth is for the engine to judge.
    """

    key: str
    taken_at: float
    max_size: int
    guest_size: int
    """RAM left to the guest: the maximum less the balloon."""
    held: int | None
    """Resident on the host; None where it cannot be measured."""
    statistics: Mapping[int, int]
    """The guest's own figures by tag (`aerostat.balloon.statistics.Tag`); absent is missing."""
    sampled_at: float | None
    """When the guest made these figures; None if it never did."""


class Connector(Protocol):
    """The guests of one source. All methods belong to one event loop."""

    @property
    def name(self) -> str:
        """What kind of source this is, for messages: ``qmp``."""

    async def start(self) -> None:
        """Begin to look for guests. Returns without waiting for any."""

    async def close(self) -> None:
        """Let go of all guests, leaving their sizes as they are."""

    async def guests(self) -> Sequence[GuestInfo]:
        """Return the guests there are now. Never waits for a guest."""

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,
    ) -> dict[str, Reading | AerostatError]:
        """Read these guests at once, each within `timeout` seconds; each key is answered.

        What fails is answered with its error, and delays nobody else.
        """

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,
    ) -> None:
        """Ask the guest to keep `size` bytes of RAM; it complies in its own time, or does not.

        Raises `LinkError`, or another `AerostatError` if the guest cannot be asked at all.
        """
