"""MOM's rules as oVirt runs them in production, in vdsm.

Source: oVirt/vdsm, ``static/etc/vdsm/mom.d/02-balloon.policy`` and ``mom.conf.in``, commit
fd4b0df2 of 2026-06-03. As `aerostat.engine.policies.mom`, but for these: everything happens every
15 seconds, and averages are over 150; in growing, too, a guest's free share follows the host's::

    f = h - 0.05 if h <= 0.05 else 0.20 * h / 0.20

and in the end a guest below its minimum is set to its minimum. (There it has to be switched on.)
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.observation import FloatArray, Guests
from aerostat.engine.policies.figures import free_memory, within_limits
from aerostat.engine.policies.mom import Mom


@dataclass(frozen=True, slots=True)
class Vdsm(Mom):
    """MOM's rules, slower, and more generous where the host has much."""

    name: ClassVar[str] = "vdsm"

    interval: float = 15.0
    window: float = 150.0

    def kept_free(self, free_share: FloatArray) -> FloatArray:
        """Return the share of its size that a guest keeps free; one row a host."""
        return self.kept_when_short(free_share)

    def finished(self, target: FloatArray, guests: Guests) -> FloatArray:
        """Return the targets, with what no guest goes without."""
        below = (guests.guest_size < guests.guarantee) & ~np.isnan(free_memory(guests))
        return np.where(below, within_limits(guests.guarantee, guests), target)
