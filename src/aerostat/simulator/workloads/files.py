"""File servers, mirrors, databases on files: little of their own, much page cache.

The cache is what managers judge worst: counted as used, it is never taken (users see guests kept
large for a cache that is worth nothing); counted as free, all of it is, and disks are read a
hundred times as much (a guest of 8 GiB squeezed to 1.4 read 1 982 GB in two hours instead of 12).
So: 10 to 100 MiB/s are read while it is busy, a twentieth of that while it is not, of a third to
three times the memory; for some the popular files are nearly all, for others each counts the same.
"""

import numpy as np

from aerostat.simulator.workloads.curves import level, path, wander
from aerostat.simulator.workloads.family import Family, machine, programs
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng, smallest=GIB)
    busy = float(np.exp(rng.uniform(*np.log((10, 100))))) * MIB
    points = []
    now, working = 0.0, bool(rng.random() < 0.5)
    while now < seconds:
        rate = busy * float(rng.uniform(0.6, 1.2)) if working else busy / 20
        length = float(rng.uniform(60, 300))
        points += [(now, rate), (now + length - 5, rate)]
        now, working = now + length, not working
    read_rate = path(points)
    mean = float(rng.uniform(0.06, 0.18)) * of.room
    return of.spec(
        seconds,
        hold=wander(rng, seconds, mean=mean, spread=0.15 * mean, every=20),
        cold=level(float(rng.uniform(0.1, 0.4))),
        mapped=programs(rng, of, high=60),
        files={
            "read_rate": read_rate,
            "read_span": level(float(np.exp(rng.uniform(*np.log((0.3, 3.0))))) * of.room),
            "skew": level(float(rng.uniform(1.0, 4.0))),
            "write_rate": read_rate * float(rng.uniform(0.02, 0.15)),
        },
    )


FAMILY = Family(
    "files",
    "File servers",
    "Little memory of their own and much page cache, some of it worth keeping and some not.",
    _make,
)
