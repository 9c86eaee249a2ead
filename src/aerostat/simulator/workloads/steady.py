"""Services with even work: web and application servers, databases with pools of fixed size.

Most virtual machines that are rented are like this: in a public trace of 500 of them half used
5 % of their memory on average and 47 % at their own peak, and nine of ten changes within five
minutes were below 6 % of it. So: a level of 12 to 45 % that wanders by a tenth of itself, of which
a third is cold (what large fleets measured after two minutes), and now and then a request or a
cron job that wants much more for a few seconds.
"""

import numpy as np

from aerostat.simulator.workloads.curves import arrivals, bump, level, total, wander
from aerostat.simulator.workloads.family import Family, machine, programs, reading
from aerostat.simulator.world import GuestSpec


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng)
    mean = float(rng.uniform(0.12, 0.45)) * of.room
    hold = wander(rng, seconds, mean=mean, spread=0.1 * mean, every=15)
    bursts = [
        bump(
            at,
            float(rng.uniform(0.05, 0.3)) * of.room,
            stay=float(rng.uniform(2, 15)),
            fall=float(rng.uniform(0, 5)),
        )
        for at in arrivals(rng, seconds, gap=float(rng.uniform(60, 200)))
    ]
    return of.spec(
        seconds,
        hold=total([hold, *bursts]),
        cold=level(float(rng.uniform(0.15, 0.5))),
        mapped=programs(rng, of),
        files=reading(rng, of, seconds, rates=(0.5, 8), spans=(0.1, 1.5)),
    )


FAMILY = Family(
    "steady",
    "Steady services",
    "Web servers and databases whose need wanders a little, with short bursts now and then.",
    _make,
)
