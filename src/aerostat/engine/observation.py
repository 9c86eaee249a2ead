"""What goes into a step: hosts and guests as columns.

Sizes are bytes, times are monotonic seconds, NaN means *not known*. Adapters fill these columns;
nothing here trusts them: `Guests.sane` clips what cannot be, so that the rest of the engine may
assume ``0 <= guarantee <= ceiling <= max_size``.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from aerostat.balloon.abi import PAGE_SIZE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

STATISTICS = 16
"""Columns of `Guests.statistics`: the tags 0 to 15 of `aerostat.balloon.statistics.Tag`."""


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """One row a host."""

    names: tuple[str, ...]
    budget: FloatArray
    """What all guests of the host together may hold."""
    available: FloatArray
    """The host's own MemAvailable."""

    def __len__(self) -> int:
        """Return the number of hosts."""
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Guests:
    """One row a guest."""

    keys: tuple[str, ...]
    """Stable and unique; what the state is remembered under."""
    host: IntArray
    """The row of `Hosts` where the guest runs."""
    max_size: FloatArray
    """The guest's RAM with an empty balloon."""
    guest_size: FloatArray
    """The RAM left to the guest: `max_size` less its balloon, as last reported."""
    held: FloatArray
    """What it occupies on the host."""
    statistics: FloatArray
    """Shape (guests, 16): what its driver last sent, by tag."""
    sample_time: FloatArray
    """When those statistics were made; NaN for never."""
    guarantee: FloatArray
    """No target is ever below this."""
    ceiling: FloatArray
    """No target is ever above this."""
    shares: FloatArray
    """Weight when memory is divided."""
    managed: BoolArray
    """False for a guest that is only watched."""
    pinned: FloatArray
    """The size that an operator asked for by hand; NaN for none."""

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self.keys)

    def sane(self) -> Self:
        """Return the same guests with impossible figures clipped.

        A guarantee is rounded up to a page of the balloon, so that a target rounded down to one can
        still honour it.
        """
        max_size = np.maximum(np.nan_to_num(self.max_size, nan=0.0, posinf=0.0), 0.0)
        ceiling = np.clip(np.where(np.isnan(self.ceiling), max_size, self.ceiling), 0.0, max_size)
        guarantee = np.nan_to_num(self.guarantee, nan=0.0, posinf=np.inf)
        guarantee = np.ceil(np.clip(guarantee, 0.0, ceiling) / PAGE_SIZE) * PAGE_SIZE
        size = np.where(np.isfinite(self.guest_size), self.guest_size, max_size)
        shares = np.nan_to_num(self.shares, nan=1.0, posinf=1e9)
        return replace(
            self,
            max_size=max_size,
            ceiling=np.maximum(ceiling, guarantee),
            guarantee=guarantee,
            guest_size=np.clip(size, 0.0, max_size),
            held=np.where(self.held >= 0, self.held, np.nan),
            shares=np.clip(shares, 1e-6, 1e9),
        )
