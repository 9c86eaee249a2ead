"""What the engine has learned: one row a guest, versioned, saved and loaded.

A restarted manager and a replay that load the same state see what the first one saw. Times are
monotonic and never lie in the future: a state that outlived a reboot of the host is read with its
times drawn back to now, which only makes the manager more patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from aerostat.engine.observation import STATISTICS, FloatArray
from aerostat.errors import UsageError

VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Columns over guests, in the order of `keys`. NaN means never, or not known."""

    keys: tuple[str, ...]
    stepped: float
    """When the last step was; NaN before the first."""

    # what was seen
    statistics: FloatArray
    """The last plausible sample, shape (guests, 16)."""
    sample_time: FloatArray
    """When it was made."""
    sample_size: FloatArray
    """The guest's size then."""
    guest_size: FloatArray
    held: FloatArray

    # what was made of it
    demand: FloatArray
    """Memory in use that the guest could not give without harm."""
    growth: FloatArray
    """Bytes by which demand grew within one reaction time, at its recent worst."""
    pressure: FloatArray
    """0 (none) to 1 (the guest does little else than look for memory)."""
    cause: FloatArray
    """Which `Cause` raised the pressure last."""
    harm_time: FloatArray
    """When the guest last felt it."""

    # what was asked
    asked: FloatArray
    """The size last asked for; NaN once it was reached or given up."""
    asked_time: FloatArray
    """When the balloon was asked, or when it last moved towards what was asked."""
    stuck_until: FloatArray
    granted: FloatArray
    """The ledger: bytes granted that the host has not yet seen used."""

    # whether the host gained
    taking_held: FloatArray
    """What the guest held when the taking under way began; NaN when none is."""
    gain_due: FloatArray
    """Until when the host must have gained; NaN when nothing is owed."""
    useless_until: FloatArray

    @classmethod
    def empty(cls) -> Self:
        """Return the state of a manager that has seen nothing."""
        return cls(keys=(), stepped=np.nan, **{name: _blank(name, 0) for name in COLUMNS})

    def aligned(self, keys: tuple[str, ...]) -> Self:
        """Return this state with its rows in the order of `keys`; new guests get blank rows.

        Guests that are gone are forgotten: one that returns may be another machine of that name.
        """
        if keys == self.keys:
            return self
        rows = {key: row for row, key in enumerate(self.keys)}
        source = np.array([rows.get(key, -1) for key in keys], dtype=np.int64)
        known = source >= 0
        columns = {}
        for name in COLUMNS:
            column = _blank(name, len(keys))
            column[known] = getattr(self, name)[source[known]]
            columns[name] = column
        return type(self)(keys=keys, stepped=self.stepped, **columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain values that JSON can carry; NaN becomes null."""
        columns = {name: _to_list(getattr(self, name)) for name in COLUMNS}
        stepped = None if np.isnan(self.stepped) else self.stepped
        return {"version": VERSION, "keys": list(self.keys), "stepped": stepped, "columns": columns}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return what `to_dict` saved. Raises `UsageError` for anything else."""
        try:
            if saved["version"] != VERSION:
                raise UsageError(f"the saved state has version {saved['version']}, not {VERSION}")
            keys = tuple(str(key) for key in saved["keys"])
            columns = {
                name: _from_list(saved["columns"][name], name, len(keys)) for name in COLUMNS
            }
            stepped = saved["stepped"]
            return cls(keys=keys, stepped=np.nan if stepped is None else float(stepped), **columns)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"not a saved state of the engine: {error}") from error


COLUMNS = tuple(field.name for field in fields(State) if field.name not in {"keys", "stepped"})
_FROM_ZERO = {"growth", "pressure", "granted", "cause"}


def _blank(name: str, rows: int) -> FloatArray:
    shape = (rows, STATISTICS) if name == "statistics" else (rows,)
    return np.full(shape, 0.0 if name in _FROM_ZERO else np.nan)


def _to_list(column: FloatArray) -> list[Any]:
    plain = column.astype(object)
    plain[~np.isfinite(column)] = None
    return list(plain.tolist())


def _from_list(values: Any, name: str, rows: int) -> FloatArray:
    blank = _blank(name, rows)
    column = np.array(values, dtype=np.float64).reshape(blank.shape)
    return np.where(np.isfinite(column), column, blank)
