"""What a front-end asked for, as the back-end's adapter sees it.

Every event but `Refused` stands for one request and needs one answer: `Backend.accept()`,
`Backend.refuse()`, or the reply that its docstring names. Descriptors in an event belong to
whoever took the event. Pure, standard library only.
"""

from typing import NamedTuple

from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import RegionDescription


class FeaturesSet(NamedTuple):
    """The driver's choice of virtio features (without the protocol features bit)."""

    features: int


class MemoryTableSet(NamedTuple):
    """The guest's whole memory anew: replaces every region there was."""

    regions: tuple[RegionDescription, ...]
    descriptors: tuple[OwnedDescriptor, ...]


class RegionAdded(NamedTuple):
    """The guest has one more region of memory."""

    region: RegionDescription
    descriptor: OwnedDescriptor


class RegionRemoved(NamedTuple):
    """The guest has no longer the region of these addresses; its file offset says nothing."""

    region: RegionDescription


class KickSet(NamedTuple):
    """A ring has its kick descriptor, which also starts it; see `Backend.rings`."""

    ring: int
    descriptor: OwnedDescriptor


class CallSet(NamedTuple):
    """Where to announce used buffers; None: nowhere."""

    ring: int
    descriptor: OwnedDescriptor | None


class RingEnabled(NamedTuple):
    """A ring was enabled or disabled; see `Backend.rings` for whether it can run."""

    ring: int
    enabled: bool


class RingStopped(NamedTuple):
    """A ring ends (GET_VRING_BASE): answer with `Backend.reply_ring_base`."""

    ring: int


class ConfigRead(NamedTuple):
    """Answer with exactly `size` bytes of configuration by `Backend.reply_config`."""

    offset: int
    size: int


class ConfigWritten(NamedTuple):
    """The driver, or the front-end for it, wrote to the configuration space."""

    offset: int
    data: bytes


class ChannelSet(NamedTuple):
    """Where the back-end may send requests of its own."""

    descriptor: OwnedDescriptor


class DeviceReset(NamedTuple):
    """Every ring is disabled and the device starts over."""


class Refused(NamedTuple):
    """A request was refused already; for the log. Needs no answer."""

    request: int
    reason: str


Event = (
    FeaturesSet
    | MemoryTableSet
    | RegionAdded
    | RegionRemoved
    | KickSet
    | CallSet
    | RingEnabled
    | RingStopped
    | ConfigRead
    | ConfigWritten
    | ChannelSet
    | DeviceReset
    | Refused
)
