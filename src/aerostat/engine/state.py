"""What the engine has learned: a row a guest and a row a host, versioned, saved and loaded.

A restarted manager and a replay that load the same state see what the first one saw. Times are
monotonic and never lie in the future: a state that outlived a reboot of the host is read with its
times drawn back to now, which only makes the manager more patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from aerostat.engine.conditions import Condition
from aerostat.engine.observation import STATISTICS, FloatArray
from aerostat.engine.settings import Settings
from aerostat.errors import UsageError

VERSION = 2
_READABLE = (1, VERSION)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Columns over guests, in the order of `keys`, and over hosts. NaN means never, or not known.

    The columns of hosts have names that begin with `host_`.
    """

    keys: tuple[str, ...]
    hosts: tuple[str, ...]
    stepped: float
    """When the last step was; NaN before the first."""

    # what was seen
    statistics: FloatArray
    """The last plausible sample, shape (guests, 16)."""
    sample_time: FloatArray
    """When it was made."""
    sample_size: FloatArray
    """The guest's size then."""
    gap: FloatArray
    """How old its figures get before newer ones come, seconds, lately."""
    block_reads: FloatArray
    """What it had read from its disks when that was last told, ..."""
    reads_time: FloatArray
    """... and the time of the sample with which it was."""
    guest_size: FloatArray
    held: FloatArray

    # what was made of it
    demand: FloatArray
    """Memory in use that the guest could not give without harm."""
    growth: FloatArray
    """Bytes by which demand grew within one reaction time, at its recent worst."""
    mapped: FloatArray
    """Files in constant use, as far as they are known, bytes: part of the demand."""
    programs: FloatArray
    """What programs and the kernel are thought to use; NaN where the guest says it itself."""
    worth: FloatArray
    """How much should be kept for files, bytes, though it could be given."""
    worth_time: FloatArray
    """When reads last showed that they are worth memory."""
    read_rate: FloatArray
    """What it reads from its disks lately, bytes a second."""
    read_floor: FloatArray
    """What of that it must read, whatever it is given."""
    read_owed: FloatArray
    """By how much reads should fall yet for what was given lately, bytes a second."""
    trust: FloatArray
    """How far its word is believed, 0 to 1; NaN for in full."""
    pressure: FloatArray
    """0 (none) to 1 (the guest does little else than look for memory)."""
    cause: FloatArray
    """Which `Cause` raised the pressure last."""
    harm_time: FloatArray
    """When the guest last felt it."""
    condition: FloatArray
    """Which `Condition` it was in."""
    condition_since: FloatArray

    # what was asked
    asked: FloatArray
    """The size last asked for; NaN once it was reached or given up."""
    asked_time: FloatArray
    """When the balloon was asked, or when it last got on towards what was asked."""
    asked_from: FloatArray
    """The guest's size then."""
    taken_time: FloatArray
    """When its size last fell."""
    speed_up: FloatArray
    """How fast its balloon gives memory back, bytes a second."""
    speed_down: FloatArray
    """How fast its balloon takes memory, bytes a second."""
    granted: FloatArray
    """The ledger: bytes granted that the host has not yet seen used."""
    overhead: FloatArray
    """What it holds beyond its size when all of that is in use, as learned."""

    # whether the host gained
    taking_held: FloatArray
    """What the guest held when the taking under way began; NaN when none is."""
    taking_size: FloatArray
    """Its size then."""
    gain_due: FloatArray
    """Until when the host must have gained; NaN when nothing is owed."""

    # of hosts
    host_strain: FloatArray
    """0 (at ease) to 1 (the host itself does little else than look for memory)."""
    host_lid: FloatArray
    """Comfort may fill the host up to here, bytes, since it was strained above; NaN for no lid."""
    host_backed: FloatArray
    """How much of what was reserved was said to be there, bytes."""

    @classmethod
    def empty(cls) -> Self:
        """Return the state of a manager that has seen nothing."""
        blank = {name: _blank(name, 0) for name in COLUMNS}
        return cls(keys=(), hosts=(), stepped=np.nan, **blank)

    def aligned(self, keys: tuple[str, ...], hosts: tuple[str, ...] | None = None) -> Self:
        """Return this state with its rows in the order of `keys` and, where said, of `hosts`.

        New ones get blank rows. Guests that are gone are forgotten: one that returns may be
        another machine of that name.
        """
        hosts = self.hosts if hosts is None else hosts
        if keys == self.keys and hosts == self.hosts:
            return self
        guest_rows, host_rows = _places(self.keys, keys), _places(self.hosts, hosts)
        columns = {}
        for name in COLUMNS:
            source = host_rows if _is_of_hosts(name) else guest_rows
            column = _blank(name, len(source))
            known = source >= 0
            column[known] = getattr(self, name)[source[known]]
            columns[name] = column
        return type(self)(keys=keys, hosts=hosts, stepped=self.stepped, **columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain values that JSON can carry; NaN becomes null."""
        return {
            "version": VERSION,
            "keys": list(self.keys),
            "hosts": list(self.hosts),
            "stepped": None if np.isnan(self.stepped) else self.stepped,
            "columns": {name: _to_list(getattr(self, name)) for name in COLUMNS},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return what `to_dict` saved, of this version or an earlier one.

        A column that another manager did not have is blank, and one that is unknown here is left
        out. Raises `UsageError` for anything else.
        """
        try:
            version = saved["version"]
            if version not in _READABLE:
                raise UsageError(f"the saved state has version {version}, not {VERSION}")
            values = dict(saved["columns"])
            keys = tuple(str(key) for key in saved["keys"])
            hosts = tuple(str(name) for name in saved["hosts"]) if version > 1 else ()
            if version == 1:
                values = _from_version_1(values, len(keys))
            columns = {}
            for name in COLUMNS:
                rows = len(hosts) if _is_of_hosts(name) else len(keys)
                known = name in values
                columns[name] = (
                    _from_list(values[name], name, rows) if known else _blank(name, rows)
                )
            stepped = saved["stepped"]
            stepped = np.nan if stepped is None else float(stepped)
            return cls(keys=keys, hosts=hosts, stepped=stepped, **columns)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"not a saved state of the engine: {error}") from error


COLUMNS = tuple(
    field.name for field in fields(State) if field.name not in {"keys", "hosts", "stepped"}
)
_FROM_ZERO = {
    "pressure", "granted", "overhead", "cause", "host_strain", "host_backed",
}  # fmt: skip


def _from_version_1(saved: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return the columns of a state of version 1 as this version has them.

    It had terms in the place of conditions: until when a guest counted as stuck, or as useless.
    """
    settings = Settings()
    condition: list[Any] = [None] * rows
    since: list[Any] = [None] * rows
    for column, state, term in (
        (saved["stuck_until"], Condition.STUCK, settings.stuck_for),
        (saved["useless_until"], Condition.USELESS, settings.useless_for),
    ):
        for row, until in enumerate(column):
            if until is not None:
                condition[row], since[row] = int(state), float(until) - term
    return {**saved, "condition": condition, "condition_since": since}


def _is_of_hosts(name: str) -> bool:
    return name.startswith("host_")


def _places(before: Sequence[str], now: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where each of `now` was before; -1 for what is new."""
    rows = {key: row for row, key in enumerate(before)}
    return np.array([rows.get(key, -1) for key in now], dtype=np.int64)


def _blank(name: str, rows: int) -> FloatArray:
    shape = (rows, STATISTICS) if name == "statistics" else (rows,)
    # Statistics are read by tag: so they lie in memory.
    return np.full(shape, 0.0 if name in _FROM_ZERO else np.nan, order="F")


def _to_list(column: FloatArray) -> list[Any]:
    plain = column.astype(object)
    plain[~np.isfinite(column)] = None
    return list(plain.tolist())


def _from_list(values: Any, name: str, rows: int) -> FloatArray:
    blank = _blank(name, rows)
    column = np.array(values, dtype=np.float64).reshape(blank.shape)
    return np.where(np.isfinite(column), column, blank)
