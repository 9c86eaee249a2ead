"""What the engine was fed and what it made of that, to bytes and back: for journal and replay.

What seldom changes (the *roster*: who is there and what each was promised) is written once and
named by the ticks that share it. Everything is JSON, compressed; NaN is null. Columns are taken
as the engine has them: one that is added later reads as *not known* from an older journal. Pure.
"""

import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import msgspec
import numpy as np

from aerostat import __version__
from aerostat.engine.conditions import Condition
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan, Reason
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.errors import UsageError

_PLAIN = {"names", "keys", "host", "managed"}  # columns of other things than floats
_HOST_COLUMNS = tuple(field.name for field in fields(Hosts) if field.name not in _PLAIN)
_GUEST_COLUMNS = tuple(field.name for field in fields(Guests) if field.name not in _PLAIN)
_SELDOM = {"guarantee", "ceiling", "shares", "pinned"}

# Level 1 is within a fifth of level 6's size here and takes a third of the time.
_LEVEL = 1
# A state of a thousand guests is below a MiB: what claims to be far more is no state.
_LARGEST = 256 << 20


# What comes of looking for a record where there is none.
_UNREADABLE = (
    *(AttributeError, KeyError, OverflowError, TypeError, ValueError),
    *(zlib.error, msgspec.MsgspecError),
)


class Observation(NamedTuple):
    """What one step was fed: monotonic and wall seconds, the columns, and the guests' names."""

    time: float
    wall: float
    hosts: Hosts
    guests: Guests
    names: tuple[str, ...] = ()
    """In the order of the guests' keys; empty where they are not known."""
    wishes: FloatArray | None = None
    """The sizes that another policy wished, bytes, NaN for none; None where there was no other."""


class Thought(NamedTuple):
    """What one step made of an observation, with the settings that it had.

    `before` and `after` are the manager's states around it. `manage` is false for a manager that
    only observes, whose `after` is without what the plan would have asked. `policy` is the name of
    the one that was followed.
    """

    before: State
    after: State
    plan: Plan
    settings: Settings
    manage: bool
    policy: str = "aerostat"


class Decided(NamedTuple):
    """The part of a plan that is kept, one row a guest; sizes in bytes.

    `target_size` is exact, and with `reason` what a replay compares. `demand` and `pressure` are
    rounded, for people.
    """

    target_size: FloatArray
    reason: tuple[str, ...]
    condition: tuple[str, ...]
    demand: FloatArray
    pressure: FloatArray

    @classmethod
    def of(cls, plan: Plan) -> "Decided":
        """Return what is kept of `plan`."""
        return cls(
            target_size=plan.target_size,
            reason=tuple(Reason(int(value)).name.lower() for value in plan.reason),
            condition=tuple(Condition(int(value)).name.lower() for value in plan.condition),
            demand=np.round(plan.demand),
            pressure=np.round(plan.pressure, 4),
        )


def weigh(guests: Guests) -> int:
    """Return about how many bytes one observation and its plan occupy while they wait."""
    return 256 + guests.statistics.nbytes + len(guests) * 8 * (len(_GUEST_COLUMNS) + 24)


def weigh_state(state: State) -> int:
    """Return about how many bytes a state occupies while it waits."""
    return state.statistics.nbytes * 3


def about(settings: Settings, *, manage: bool, policy: str = "aerostat") -> str:
    """Return as JSON what all ticks of a run share: the settings and who decided."""
    mode = "manage" if manage else "observe"
    values = {"version": __version__, "mode": mode, "policy": policy, "settings": settings}
    return msgspec.json.encode(values).decode()


def pack_roster(observation: Observation) -> bytes:
    """Return the columns that seldom change, as JSON that compares equal while they do not."""
    hosts, guests = observation.hosts, observation.guests
    columns: dict[str, Any] = {name: _plain(getattr(guests, name)) for name in _SELDOM}
    columns |= {"keys": guests.keys, "host": guests.host.tolist(), "names": observation.names}
    columns |= {"managed": guests.managed.tolist(), "hosts": hosts.names}
    return msgspec.json.encode(columns)


def pack_sample(observation: Observation, decided: Decided | None = None) -> bytes:
    """Return the columns that every tick brings anew, and what was decided, compressed."""
    hosts, guests = observation.hosts, observation.guests
    fresh = (name for name in _GUEST_COLUMNS if name not in _SELDOM)
    columns: dict[str, Any] = {name: _plain(getattr(guests, name)) for name in fresh}
    # A host's own column may have the name of a guest's (`pressure`): they are kept apart.
    columns["of_hosts"] = {name: _plain(getattr(hosts, name)) for name in _HOST_COLUMNS}
    if observation.wishes is not None:
        columns["wishes"] = _plain(observation.wishes)
    if decided is not None:
        columns["decided"] = {
            name: _plain(column) if isinstance(column, np.ndarray) else column
            for name, column in decided._asdict().items()
        }
    return zlib.compress(msgspec.json.encode(columns), _LEVEL)


def unpack(
    time: float, wall: float, roster: bytes, sample: bytes
) -> tuple[Observation, Decided | None]:
    """Return what `pack_roster` and `pack_sample` were given.

    Raises `UsageError` for anything else.
    """
    try:
        time, wall = msgspec.convert((time, wall), tuple[float, float])
        fixed: dict[str, Any] = msgspec.json.decode(roster)
        fresh: dict[str, Any] = msgspec.json.decode(_inflated(sample))
        # Version 1 kept the budget with the roster, and the rest without a name of its own.
        of_hosts = fresh.get("of_hosts") or {
            "budget": fixed["budget"],
            "available": fresh["available"],
        }
        hosts = _hosts(_texts(fixed["hosts"]), of_hosts)
        guests = _guests(fixed, fixed | fresh, len(hosts))
        rows = len(guests)
        names = _texts(fixed.get("names", ()), rows) if fixed.get("names") else ()
        decided = _decided(fresh.get("decided"), rows)
        wishes = _column(fresh["wishes"], rows) if "wishes" in fresh else None
    except _UNREADABLE as error:
        raise UsageError(f"a record that cannot be read: {error}") from error
    return Observation(time, wall, hosts, guests, names, wishes), decided


def pack_state(state: State) -> bytes:
    """Return a state, compressed."""
    return zlib.compress(msgspec.json.encode(state.to_dict()), _LEVEL)


def unpack_state(packed: bytes) -> State:
    """Return what `pack_state` was given. Raises `UsageError` for anything else."""
    try:
        return State.from_dict(msgspec.json.decode(_inflated(packed)))
    except _UNREADABLE as error:
        raise UsageError(f"a state that cannot be read: {error}") from error


def _inflated(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _LARGEST)


def _hosts(names: tuple[str, ...], columns: Mapping[str, Any]) -> Hosts:
    return Hosts(names=names, **_columns(_HOST_COLUMNS, columns, len(names)))


def _guests(fixed: Mapping[str, Any], columns: Mapping[str, Any], hosts: int) -> Guests:
    keys = _texts(fixed["keys"])
    rows = len(keys)
    others = tuple(name for name in _GUEST_COLUMNS if name != "statistics")
    statistics = np.array(columns["statistics"], dtype=np.float64)
    host = np.array(fixed["host"], dtype=np.int64)
    managed = np.array(fixed["managed"], dtype=np.bool_)
    if not host.shape == managed.shape == (rows,) or not ((host >= 0) & (host < hosts)).all():
        raise ValueError(f"not the hosts of {rows} guests")
    return Guests(
        keys=keys,
        host=host,
        managed=managed,
        statistics=statistics.reshape(rows, STATISTICS),
        **_columns(others, columns, rows),
    )


def _decided(columns: Mapping[str, Any] | None, rows: int) -> Decided | None:
    if columns is None:
        return None
    return Decided(
        target_size=_column(columns["target_size"], rows),
        reason=_texts(columns["reason"], rows),
        condition=_texts(columns["condition"], rows),
        demand=_column(columns["demand"], rows),
        pressure=_column(columns["pressure"], rows),
    )


def _texts(values: Any, rows: int | None = None) -> tuple[str, ...]:
    """Return texts, so many if `rows` says so."""
    texts = msgspec.convert(values, tuple[str, ...])
    if rows is not None and len(texts) != rows:
        raise ValueError(f"{len(texts)} texts where there are {rows} rows")
    return texts


def _columns(
    names: tuple[str, ...], columns: Mapping[str, Any], rows: int
) -> dict[str, FloatArray]:
    """Return the columns of these names; those that are missing are not known."""
    unknown = np.full(rows, np.nan)
    return {name: _column(columns[name], rows) if name in columns else unknown for name in names}


def _plain(column: FloatArray) -> list[Any]:
    # msgspec writes NaN as null, and finite floats so that they read back to the same bits.
    return list(column.tolist())


def _column(values: list[Any], rows: int) -> FloatArray:
    column = np.array(values, dtype=np.float64)  # None becomes NaN
    if column.shape != (rows,):
        raise ValueError(f"a column of {column.shape} where there are {rows} rows")
    return column
