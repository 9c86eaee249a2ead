"""What every connector promises (no I/O here).

A connector knows the guests of one source, reads all of them at once, and sets targets. Guests
come and go, hang and lie; the promises below hold all the same, so that one bad guest costs only
itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from aerostat.errors import AerostatError

_NOTHING: Mapping[str, str] = MappingProxyType({})

Way = Literal["queue", "agent"]
"""How a guest's figures came: by the statistics queue of its balloon, or by an agent inside it."""


class GuestInfo(NamedTuple):
    """A guest there is now.

    `key` identifies it within one manager (``qmp:/run/a.sock``), `name` is what people call it
    (printable, but neither unique nor trusted), `source` says where it was found. `settings` is
    what its own definition asks for (``guarantee``, ``ceiling``, ``shares``, ``managed``), as text
    in the configuration file's own words; who defines a guest is trusted as far as the
    configuration says.
    """

    key: str
    name: str
    source: str
    uuid: str | None = None
    settings: Mapping[str, str] = _NOTHING


class BlockReads(NamedTuple):
    """What a guest has read from all its disks since it started.

    Its hypervisor counts it, or the host's kernel does.

    Refaults show here that no counter of the statistics queue shows, and a guest can hardly fake
    them.
    """

    bytes: int
    requests: int | None = None
    """None where only bytes are counted."""


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
    way: Way = "queue"
    block_reads: BlockReads | None = None
    """None where the hypervisor does not say."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What a connector can find out about how one guest is set up. None: it cannot tell.

    For ``aerostat doctor``. `mending` has, by the name of a field here, the exact command or XML
    that sets it right with this hypervisor.
    """

    key: str
    kind: str
    """What runs the guest: ``qemu``, ``libvirt``, ``aerostat``, ``test``."""
    running: bool | None = None
    may_change: bool | None = None
    """Whether this connection may move the balloon."""
    balloon: bool | None = None
    """Whether it has a virtio balloon device."""
    driver: bool | None = None
    """Whether a balloon driver in the guest has answered."""
    statistics: bool | None = None
    """Whether its driver sends figures: a Windows guest needs a service for that."""
    interval: int | None = None
    """The period at which the hypervisor asks for figures, seconds; 0 is never."""
    deflate_on_oom: bool | None = None
    free_page_reporting: bool | None = None
    huge_pages: bool | None = None
    locked_memory: bool | None = None
    passthrough: bool | None = None
    """Whether a device of the host is passed through (VFIO), which pins all of its memory."""
    swap: bool | None = None
    agent: Literal["absent", "blocked", "answers"] | None = None
    """The guest agent inside; ``blocked`` answers and may not read files."""
    mending: Mapping[str, str] = field(default_factory=dict)


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

    async def examine(self, key: str, timeout: float) -> Examination:
        """Find out how the guest is set up, changing nothing. Raises `AerostatError`."""
