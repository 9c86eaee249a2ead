"""Observations to bytes and back, exactly: what the journal keeps and a replay reads.

What seldom changes (the *roster*: who is there and what each was promised) is written once and
named by the ticks that share it. Everything is JSON, compressed; NaN is null. Pure.
"""

import zlib
from typing import Any, NamedTuple

import msgspec
import numpy as np

from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts

_ROSTER = ("guarantee", "ceiling", "shares", "pinned")
_SAMPLE = ("max_size", "guest_size", "held", "sample_time")

# Level 1 is within a fifth of level 6's size here and takes a third of the time.
_LEVEL = 1


class Observation(NamedTuple):
    """What one step was fed: monotonic and wall seconds, and the columns."""

    time: float
    wall: float
    hosts: Hosts
    guests: Guests


def weigh(guests: Guests) -> int:
    """Return about how many bytes one observation occupies while it waits to be written."""
    return 256 + guests.statistics.nbytes + len(guests) * 8 * (len(_ROSTER) + len(_SAMPLE) + 2)


def pack_roster(hosts: Hosts, guests: Guests) -> bytes:
    """Return the columns that seldom change, as JSON that compares equal while they do not."""
    columns: dict[str, Any] = {name: _plain(getattr(guests, name)) for name in _ROSTER}
    columns |= {"keys": guests.keys, "host": guests.host.tolist()}
    columns |= {"managed": guests.managed.tolist(), "hosts": hosts.names}
    columns["budget"] = _plain(hosts.budget)
    return msgspec.json.encode(columns)


def pack_sample(hosts: Hosts, guests: Guests) -> bytes:
    """Return the columns that every tick brings anew, compressed."""
    columns = {name: _plain(getattr(guests, name)) for name in (*_SAMPLE, "statistics")}
    columns["available"] = _plain(hosts.available)
    return zlib.compress(msgspec.json.encode(columns), _LEVEL)


def unpack(roster: bytes, sample: bytes) -> tuple[Hosts, Guests]:
    """Return the columns that `pack_roster` and `pack_sample` were given."""
    fixed: dict[str, Any] = msgspec.json.decode(roster)
    fresh: dict[str, Any] = msgspec.json.decode(zlib.decompress(sample))
    rows = len(fixed["keys"])
    hosts = Hosts(
        names=tuple(fixed["hosts"]),
        budget=_column(fixed["budget"]),
        available=_column(fresh["available"]),
    )
    guests = Guests(
        keys=tuple(fixed["keys"]),
        host=np.array(fixed["host"], dtype=np.int64),
        managed=np.array(fixed["managed"], dtype=np.bool_),
        statistics=_column(fresh["statistics"]).reshape(rows, STATISTICS),
        **{name: _column(fixed[name]) for name in _ROSTER},
        **{name: _column(fresh[name]) for name in _SAMPLE},
    )
    return hosts, guests


def _plain(column: FloatArray) -> list[Any]:
    # msgspec writes NaN as null, and finite floats so that they read back to the same bits.
    return list(column.tolist())


def _column(values: list[Any]) -> FloatArray:
    return np.array(values, dtype=np.float64)  # None becomes NaN
