"""What came of what a front-end asked for, as its adapter sees it.

Each ends one of `Frontend`'s procedures, in the order in which they were begun. Pure, standard
library only.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Negotiated(NamedTuple):
    """The two sides know what they share; `queue_count` is how many rings the back-end has."""

    features: int
    queue_count: int


class FeaturesChosen(NamedTuple):
    """The driver's choice of virtio features was taken."""

    features: int


class MemoryShared(NamedTuple):
    """The back-end has the guest's memory."""


class ConfigRead(NamedTuple):
    """Bytes of the device's configuration space, exactly as many as were asked for."""

    offset: int
    data: bytes


class ConfigWritten(NamedTuple):
    """Bytes of the configuration space were taken."""

    offset: int
    data: bytes


class Described(NamedTuple):
    """The back-end knows these rings, and has their kicks."""

    rings: tuple[int, ...]


class Enabled(NamedTuple):
    """These rings were enabled, or disabled."""

    rings: tuple[int, ...]
    enabled: bool


class Stopped(NamedTuple):
    """Rings have ended; `bases` are the indices at which to start each of them again."""

    bases: Mapping[int, int]


class DeviceReset(NamedTuple):
    """The device has started over; its rings are gone."""


class Refused(NamedTuple):
    """The back-end said no to `request`; what was to follow in its procedure was not said."""

    request: int


Outcome = (
    Negotiated
    | FeaturesChosen
    | MemoryShared
    | ConfigRead
    | ConfigWritten
    | Described
    | Enabled
    | Stopped
    | DeviceReset
    | Refused
)
