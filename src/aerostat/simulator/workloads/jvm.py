"""Java services: a heap that grows to its limit, and whose collector now and then touches it all.

Published studies of ballooning find next to no harm except in Java: a heap is committed and not
given back, most of it lies untouched for minutes, and then a full collection walks through it
within seconds. So: 40 to 70 % of the machine is reached in steps within the first minutes, two
thirds of it cold; every few minutes all of it is touched for some seconds. One in three gives
memory back when idle (as newer collectors do), and takes it again.
"""

import numpy as np

from aerostat.simulator.workloads.curves import Curve, arrivals, bump, level, path, total
from aerostat.simulator.workloads.family import Family, Machine, machine, programs, reading
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB


def _heap(rng: np.random.Generator, of: Machine, seconds: float) -> Curve:
    """Return how much of the heap is committed: up in steps, for some down when it is idle."""
    first = float(rng.uniform(0.10, 0.20)) * of.room
    limit = float(rng.uniform(0.40, 0.70)) * of.room
    steps = int(rng.integers(3, 8))
    ramp = float(rng.uniform(60, 400))
    start = float(rng.uniform(0, 120))
    points = [(0.0, first)]
    for k in range(steps):
        at = start + ramp * k / steps
        points += [(at, first + (limit - first) * k / steps)]
        points += [(at + 2, first + (limit - first) * (k + 1) / steps)]
    heap = path(points)
    if rng.random() < 1 / 3:
        low = (limit - first) * float(rng.uniform(0.3, 0.7))
        for at in arrivals(rng, seconds, gap=400):
            if at > start + ramp:
                idle = float(rng.uniform(40, 120))
                heap += bump(at, -low, rise=5, stay=idle, fall=float(rng.uniform(2, 20)))
    return heap


def _cold(rng: np.random.Generator, seconds: float) -> Curve:
    """Return the share that is not touched: none of it while there is a full collection."""
    usual = float(rng.uniform(0.5, 0.75))
    collections = [
        bump(at, -usual, stay=float(rng.uniform(1, 4)))
        for at in arrivals(rng, seconds, gap=float(rng.uniform(120, 300)))
    ]
    return total([level(usual), *collections])


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng, smallest=GIB)
    return of.spec(
        seconds,
        hold=_heap(rng, of, seconds),
        cold=_cold(rng, seconds),
        mapped=programs(rng, of, low=80),
        files=reading(rng, of, seconds, rates=(0.3, 3), spans=(0.1, 0.8)),
    )


FAMILY = Family(
    "jvm",
    "Java services",
    "Heaps that ramp up, lie mostly cold, and are walked through by each full collection.",
    _make,
)
