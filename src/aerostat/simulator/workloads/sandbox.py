"""MicroVMs that run somebody's function or session: asleep, awake for a moment, asleep again.

Their operators hold them parked at an eighth of their size (512 MiB of 4 GiB in one that is
published), and complain of what follows: a parked guest is woken by a request that takes hundreds
of MiB a second, and pays until the balloon has come down. So: 4 to 8 % while asleep; woken every
two to eight minutes for 5 to 60 seconds, in which 20 to 70 % is taken at 128 to 512 MiB/s and code
is read; one in five is never woken. All balloons deflate on OOM, as these monitors' do.
"""

import numpy as np

from aerostat.simulator.workloads.curves import Curve, arrivals, bump, level, total
from aerostat.simulator.workloads.family import Family, machine, programs
from aerostat.simulator.world import GuestSpec
from aerostat.units import MIB


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng, grow_rates=(128 * MIB, 512 * MIB), deflating=1.0, guarantee=1 / 8)
    holds: list[Curve] = []
    reads: list[Curve] = []
    if rng.random() < 0.8:
        for at in arrivals(rng, seconds, gap=float(rng.uniform(120, 480))):
            stay = float(rng.uniform(5, 60))
            height = float(rng.uniform(0.2, 0.7)) * of.room
            holds.append(bump(at, height, stay=stay, fall=float(rng.uniform(0.1, 3))))
            reads.append(bump(at, float(rng.uniform(20, 60)) * MIB, stay=min(stay, 5.0)))
    return of.spec(
        seconds,
        hold=total([level(float(rng.uniform(0.04, 0.08)) * of.room), *holds]),
        cold=level(float(rng.uniform(0.0, 0.2))),
        mapped=programs(rng, of, high=80),
        files={
            "read_rate": total([level(0.05 * MIB), *reads]),
            "read_span": level(min(float(rng.uniform(50, 250)) * MIB, 0.5 * of.room)),
            "skew": level(float(rng.uniform(1.0, 3.0))),
            "write_rate": level(0.05 * MIB),
        },
    )


FAMILY = Family(
    "sandbox",
    "Sandboxes",
    "MicroVMs that sleep, and are woken for seconds in which they take most of their memory.",
    _make,
)
