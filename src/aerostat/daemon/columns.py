"""What was seen, and what is promised, as the engine's columns. Pure.

The figures are a guest's word: one that no machine could mean becomes *not known* here. New
arrays are made each tick and never changed afterwards, so that the journal may keep them.
"""

from collections.abc import Sequence

import numpy as np

from aerostat.daemon.orders import Orders
from aerostat.daemon.promises import Promises
from aerostat.daemon.sampler import Seen
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import Reading

# Statistics are 64-bit counters; what needs more bits is no statistic (virtio 1.2, 5.5.6.3).
_STATISTICS_LIMIT = 1 << 64


def host_columns(name: str, host: HostReading, reserved: int) -> Hosts:
    """Return the one host there is, where leases claim `reserved` bytes of it."""
    return Hosts.of(
        (name,),
        budget=np.array([host.budget], dtype=np.float64),
        available=np.array([host.available], dtype=np.float64),
        reserved=np.array([reserved], dtype=np.float64),
        pressure=_column([host.pressure]),
        swap_out=_column([host.swap_out]),
    )


def guest_columns(guests: Sequence[Seen], promises: Promises, orders: Orders, now: float) -> Guests:
    """Return one row for each guest that has ever been read. `now` is monotonic seconds."""
    read = [(seen.info, seen.reading) for seen in guests if seen.reading is not None]
    promised = [promises.of(info, r.max_size) for info, r in read]
    ordered = orders.sizes()
    statistics = np.full((len(read), STATISTICS), np.nan)
    for row, (_, reading) in enumerate(read):
        _fill(statistics[row], reading)
    return Guests(
        keys=tuple(info.key for info, _ in read),
        host=np.zeros(len(read), dtype=np.int64),
        max_size=_column([r.max_size for _, r in read]),
        guest_size=_column([r.guest_size for _, r in read]),
        held=_column([r.held for _, r in read]),
        statistics=statistics,
        sample_time=_column([sample_time(r, now) for _, r in read]),
        guarantee=_column([promise.guarantee for promise in promised]),
        ceiling=_column([promise.ceiling for promise in promised]),
        shares=_column([promise.shares for promise in promised]),
        managed=np.array(
            [
                promise.managed and info.key not in orders.holds
                for promise, (info, _) in zip(promised, read, strict=True)
            ],
            dtype=np.bool_,
        ),
        pinned=_column([ordered.get(info.key) for info, _ in read]),
        block_reads=_column([r.block_reads.bytes if r.block_reads else None for _, r in read]),
    )


def held_by_all(guests: Sequence[Seen]) -> int:
    """Return what all guests hold, in bytes; one that cannot be measured holds all it may."""
    readings = [seen.reading for seen in guests if seen.reading is not None]
    return sum(r.guest_size if r.held is None else r.held for r in readings)


def sample_time(reading: Reading, now: float) -> float | None:
    """Return when the guest made its figures: monotonic seconds, never in the future."""
    return None if reading.sampled_at is None else min(reading.sampled_at, now)


def _fill(row: FloatArray, reading: Reading) -> None:
    for tag, value in reading.statistics.items():
        if 0 <= tag < STATISTICS and 0 <= value < _STATISTICS_LIMIT:
            row[tag] = value


def _column(values: Sequence[float | None]) -> FloatArray:
    return np.array(values, dtype=np.float64)  # None becomes NaN
