"""A flash crowd: all guests serve the same crowd, and all want more within the same seconds.

The front end of one service, sold out tickets or breaking news. Twice in a run, at moments that all
share, each goes from 15 to 25 % to 45 to 80 % of its machine within 5 to 15 seconds, as fast as
memory can be taken (256 MiB/s to 1 GiB/s), stays there for half a minute and comes down slowly.
Balloons deflate on OOM. What a policy can gain lies between the crowds; what it can lose, in them.
"""

import numpy as np

from aerostat.simulator.workloads.curves import bump, level, total, wander
from aerostat.simulator.workloads.family import Family, machine, programs, reading
from aerostat.simulator.world import GuestSpec
from aerostat.units import GIB, MIB


def _make(
    rng: np.random.Generator, _index: int, seconds: float, common: np.random.Generator
) -> GuestSpec:
    of = machine(rng, grow_rates=(256 * MIB, GIB), deflating=1.0)
    mean = float(rng.uniform(0.15, 0.25)) * of.room
    crowds = [
        bump(
            float(common.uniform(low, high)) * seconds + float(rng.uniform(0, 5)),
            float(rng.uniform(0.30, 0.55)) * of.room,
            rise=float(rng.uniform(5, 15)),
            stay=float(rng.uniform(20, 40)),
            fall=float(rng.uniform(20, 60)),
        )
        for low, high in ((0.25, 0.45), (0.6, 0.85))
    ]
    return of.spec(
        seconds,
        hold=total([wander(rng, seconds, mean=mean, spread=0.1 * mean, every=15), *crowds]),
        cold=level(float(rng.uniform(0.1, 0.3))),
        mapped=programs(rng, of),
        files=reading(rng, of, seconds, rates=(0.5, 8), spans=(0.1, 1.0)),
    )


FAMILY = Family(
    "flash_crowd",
    "Flash crowd",
    "All guests at once want two to four times what they had, twice in a run.",
    _make,
)
