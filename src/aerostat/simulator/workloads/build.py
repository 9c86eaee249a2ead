"""Build machines and other batch work: nothing for a while, then everything at once.

Compilers in parallel take memory as fast as they can (64 to 256 MiB/s), a link at the end takes
most, and all of it is given back at once; sources and objects are read and written meanwhile. This
is what managers are too slow for: users report builds that allocate gigabytes within seconds while
loops take a minute, and a build of 4 GiB that ran 20 % longer in a balloon.
"""

import numpy as np

from aerostat.simulator.workloads.curves import Curve, arrivals, bump, level, total
from aerostat.simulator.workloads.family import Family, Machine, machine, programs
from aerostat.simulator.world import GuestSpec
from aerostat.units import MIB


def _jobs(rng: np.random.Generator, of: Machine, seconds: float) -> tuple[list[Curve], list[Curve]]:
    """Return what jobs hold, and at which rate they read."""
    holds, reads = [], []
    gap = float(rng.uniform(90, 240))
    rate = float(rng.uniform(15, 60)) * MIB
    end = 0.0
    for at in arrivals(rng, seconds, gap=gap):
        if at < end:
            continue  # One at a time: a queue of jobs has one runner here.
        stages = int(rng.integers(2, 6))
        now = at
        for _ in range(stages):
            stay = float(rng.uniform(4, 20))
            height = float(rng.uniform(0.15, 0.5)) * of.room
            holds.append(bump(now, height, stay=stay, fall=float(rng.uniform(0.1, 2))))
            now += stay + 0.5
        link = float(rng.uniform(3, 15))
        holds.append(bump(now, float(rng.uniform(0.4, 0.8)) * of.room, stay=link))
        end = now + link
        reads.append(bump(at, rate, stay=end - at))
    return holds, reads


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng)
    base = float(rng.uniform(0.06, 0.14)) * of.room
    holds, reads = _jobs(rng, of, seconds)
    read_rate = total([level(0.3 * MIB), *reads])
    return of.spec(
        seconds,
        hold=total([level(base), *holds]),
        cold=level(float(rng.uniform(0.05, 0.2))),
        mapped=programs(rng, of),
        files={
            "read_rate": read_rate,
            "read_span": level(float(rng.uniform(0.15, 0.9)) * of.room),
            "skew": level(float(rng.uniform(1.5, 3.0))),
            "write_rate": read_rate * float(rng.uniform(0.1, 0.4)),
        },
    )


FAMILY = Family(
    "build",
    "Builds",
    "Build machines: idle, then compilers and linkers that take most of the memory in seconds.",
    _make,
)
