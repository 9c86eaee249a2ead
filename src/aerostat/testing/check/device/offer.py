"""What a device that is checked offers, and what of it drivers take. Pure.

The part of a stage (`checks.Stage`) that does not depend on where the device is.
"""

from aerostat.testing.check.checks import Check
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.features import feature_names, missing
from aerostat.virtio.features import RING_PACKED, bit


class Offer:
    """What the device called `name` offers, once it was met."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        self.offered = 0
        self.packed = False
        """Whether drivers take packed rings, where they are offered."""
        self.sound = True
        """Whether it served at first: what never did cannot be found to have stopped."""

    @property
    def usable(self) -> int:
        """The features that checks may use."""
        wanted = self.offered & self.options.features
        return wanted if self.packed else wanted & ~bit(RING_PACKED)

    def description(self) -> str:
        """Return who is checked, and what it offers."""
        names = " ".join(feature_names(self.offered & self.options.features))
        plain = "" if self.sound else "\nNot even a plain inflation is served; expect the rest."
        return f"{self.name}: {names}{plain}"

    def lacks(self, check: Check[Machine]) -> str:
        """Return which of a check's features are not there."""
        lacking = missing(check.needs, self.offered)
        if lacking:
            return f"{', '.join(lacking)} is not offered"
        unwanted = missing(check.needs, self.usable)
        return f"{', '.join(unwanted)} is not wanted" if unwanted else ""
