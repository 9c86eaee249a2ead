"""What goes into a step: hosts and guests as columns.

Sizes are bytes, times are monotonic seconds, NaN means *not known*. Adapters fill these columns;
nothing here trusts them: `Guests.sane` clips what cannot be, so that the rest of the engine may
assume ``0 <= guarantee <= ceiling <= max_size``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
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
    reserved: FloatArray
    """What is claimed for guests that are yet to come: it and all sizes must fit the budget."""
    pressure: FloatArray
    """The share of the last seconds in which some task waited for memory (PSI), 0 to 1."""
    swap_out: FloatArray
    """What the host writes to its own swap, bytes a second."""

    @classmethod
    def of(cls, names: Sequence[str], **columns: FloatArray) -> Self:
        """Return hosts with these columns; those left out are not known.

        Raises TypeError for a column that there is not.
        """
        return cls(names=tuple(names), **_filled(cls, len(names), columns))

    def __len__(self) -> int:
        """Return the number of hosts."""
        return len(self.names)

    def sane(self) -> Self:
        """Return the same hosts with impossible figures clipped, and nothing claimed unsaid."""
        return replace(
            self,
            budget=_amount(self.budget),
            available=np.where(self.available >= 0, self.available, np.nan),
            reserved=_amount(self.reserved),
            pressure=np.clip(self.pressure, 0.0, 1.0),
            swap_out=np.maximum(self.swap_out, 0.0),
        )


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
    block_reads: FloatArray
    """Bytes that it has read from its disks since it started, as its hypervisor counts."""

    @classmethod
    def of(
        cls,
        keys: Sequence[str],
        *,
        host: IntArray | None = None,
        managed: BoolArray | None = None,
        **columns: FloatArray,
    ) -> Self:
        """Return guests with these columns; those left out are not known.

        Where nothing is said they are managed, and run on the first host. Raises TypeError for a
        column that there is not.
        """
        return cls(
            keys=tuple(keys),
            host=np.zeros(len(keys), dtype=np.int64) if host is None else host,
            managed=np.ones(len(keys), dtype=np.bool_) if managed is None else managed,
            **_filled(cls, len(keys), columns),
        )

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self.keys)

    def sane(self) -> Self:
        """Return the same guests with impossible figures clipped.

        A guarantee is rounded up to a page of the balloon, so that a target rounded down to one can
        still honour it.
        """
        max_size = np.where(np.isfinite(self.max_size), np.maximum(self.max_size, 0.0), 0.0)
        ceiling = np.clip(np.where(np.isnan(self.ceiling), max_size, self.ceiling), 0.0, max_size)
        guarantee = np.clip(known_or(self.guarantee, 0.0), 0.0, ceiling)
        guarantee = np.ceil(guarantee / PAGE_SIZE) * PAGE_SIZE
        size = np.where(np.isfinite(self.guest_size), self.guest_size, max_size)
        return replace(
            self,
            max_size=max_size,
            ceiling=np.maximum(ceiling, guarantee),
            guarantee=guarantee,
            guest_size=np.clip(size, 0.0, max_size),
            held=np.where(self.held >= 0, self.held, np.nan),
            shares=np.clip(known_or(self.shares, 1.0), 1e-6, 1e9),
        )


_NO_FIGURES = {"names", "keys", "host", "managed"}


def known_or(column: FloatArray, otherwise: float) -> FloatArray:
    """Return the column, and `otherwise` where it is NaN: nothing is known there."""
    return np.where(np.isnan(column), otherwise, column)


def _filled(kind: type, rows: int, columns: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return `columns`, and one of NaN for each that `kind` has besides."""
    filled = dict(columns)
    for field in fields(kind):
        if field.name not in filled and field.name not in _NO_FIGURES:
            shape = (rows, STATISTICS) if field.name == "statistics" else (rows,)
            filled[field.name] = np.full(shape, np.nan)
    return filled


def _amount(column: FloatArray) -> FloatArray:
    return np.maximum(np.nan_to_num(column, nan=0.0), 0.0)
