"""A boot storm: two thirds of the guests start within one minute, beside those that run already.

After a power cut, an upgrade, or at nine in a house of desktops. A guest that boots reads its
system at what the disk gives, starts all its services in parallel, which together take twice what
they need later (45 to 80 % of the machine), and settles within two minutes at 20 to 35 %. All want
most at the same time: here there is little to gain, and much to lose.
"""

import numpy as np

from aerostat.simulator.workloads.curves import bump, level, total, wander
from aerostat.simulator.workloads.family import Family, machine, programs
from aerostat.simulator.world import GuestSpec
from aerostat.units import MIB

_STORM = 60.0


def _make(
    rng: np.random.Generator, _index: int, seconds: float, common: np.random.Generator
) -> GuestSpec:
    of = machine(rng)
    storm = float(common.uniform(0.2, 0.4)) * seconds
    begins = storm + float(rng.uniform(0, _STORM)) if rng.random() < 2 / 3 else 0.0
    settled = float(rng.uniform(0.20, 0.35)) * of.room
    peak = float(rng.uniform(0.45, 0.80)) * of.room
    start = bump(
        begins + float(rng.uniform(3, 10)),
        peak - settled,
        rise=float(rng.uniform(2, 15)),
        stay=float(rng.uniform(15, 45)),
        fall=float(rng.uniform(10, 40)),
    )
    rate = float(rng.uniform(40, 120)) * MIB
    system = float(rng.uniform(200, 500)) * MIB
    boot = bump(begins, rate, stay=3 * system / rate, fall=5)
    return of.spec(
        seconds,
        hold=total([wander(rng, seconds, mean=settled, spread=0.1 * settled, every=15), start]),
        cold=level(float(rng.uniform(0.1, 0.4))),
        mapped=programs(rng, of),
        files={
            "read_rate": total([level(float(rng.uniform(0.3, 3)) * MIB), boot]),
            "read_span": level(min(system, 0.6 * of.room)),
            "skew": level(float(rng.uniform(1.0, 3.0))),
            "write_rate": level(float(rng.uniform(0.1, 1)) * MIB),
        },
        arrives=begins,
    )


FAMILY = Family(
    "boot_storm",
    "Boot storm",
    "Two of three guests start within a minute and want most of their memory while they do.",
    _make,
)
