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
        fixed: dict[str, Any] = msgspec.json.decode(roster)
        fresh: dict[str, Any] = msgspec.json.decode(zlib.decompress(sample))
        # Version 1 kept the budget with the roster, and the rest without a name of its own.
        of_hosts = fresh.get("of_hosts") or {
            "budget": fixed["budget"],
            "available": fresh["available"],
        }
        hosts = _hosts(tuple(fixed["hosts"]), of_hosts)
        guests = _guests(fixed, fixed | fresh)
        names = tuple(fixed.get("names", ()))
        decided = _decided(fresh.get("decided"))
        wishes = _column(fresh["wishes"]) if "wishes" in fresh else None
    except (KeyError, TypeError, ValueError, zlib.error, msgspec.DecodeError) as error:
        raise UsageError(f"a record that cannot be read: {error}") from error
    return Observation(time, wall, hosts, guests, names, wishes), decided


def pack_state(state: State) -> bytes:
    """Return a state, compressed."""
    return zlib.compress(msgspec.json.encode(state.to_dict()), _LEVEL)


def unpack_state(packed: bytes) -> State:
    """Return what `pack_state` was given. Raises `UsageError` for anything else."""
    try:
        text = zlib.decompressobj().decompress(packed, _LARGEST)
        return State.from_dict(msgspec.json.decode(text))
    except (zlib.error, msgspec.DecodeError, AttributeError) as error:
        raise UsageError(f"a state that cannot be read: {error}") from error


def _hosts(names: tuple[str, ...], columns: Mapping[str, Any]) -> Hosts:
    unknown = np.full(len(names), np.nan)
    return Hosts(
        names=names,
        **{name: _column(columns[name]) if name in columns else unknown for name in _HOST_COLUMNS},
    )


def _guests(fixed: Mapping[str, Any], columns: Mapping[str, Any]) -> Guests:
    rows = len(fixed["keys"])
    unknown = np.full(rows, np.nan)
    figures = {
        name: _column(columns[name]) if name in columns else unknown for name in _GUEST_COLUMNS
    }
    statistics = figures.pop("statistics")
    return Guests(
        keys=tuple(fixed["keys"]),
        host=np.array(fixed["host"], dtype=np.int64),
        managed=np.array(fixed["managed"], dtype=np.bool_),
        statistics=statistics.reshape(rows, STATISTICS),
        **figures,
    )


def _decided(columns: Mapping[str, Any] | None) -> Decided | None:
    if columns is None:
        return None
    return Decided(
        target_size=_column(columns["target_size"]),
        reason=tuple(columns["reason"]),
        condition=tuple(columns["condition"]),
        demand=_column(columns["demand"]),
        pressure=_column(columns["pressure"]),
    )


def _plain(column: FloatArray) -> list[Any]:
    # msgspec writes NaN as null, and finite floats so that they read back to the same bits.
    return list(column.tolist())


def _column(values: list[Any]) -> FloatArray:
    return np.array(values, dtype=np.float64)  # None becomes NaN
