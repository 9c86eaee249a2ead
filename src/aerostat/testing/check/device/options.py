"""What the user says of a device that is checked. Pure."""

from typing import NamedTuple

from aerostat.balloon.abi import QueueRule
from aerostat.units import MIB


class Options(NamedTuple):
    """What the user says of a device.

    `memory` is the size of the guest that is played in bytes, `features` what its driver takes
    where it is offered, `patience` the seconds until a device counts as hung, `hush` those during
    which is watched that something does not happen.
    """

    memory: int = 64 * MIB
    features: int = -1
    rule: QueueRule = "dense-offered"
    patience: float = 2.0
    hush: float = 0.05
