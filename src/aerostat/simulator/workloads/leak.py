"""Services that leak, until somebody restarts them.

What is leaked is never touched again: it is held, cold, and of use to nobody, and with swap it
costs nothing to lose. One day of leaking is compressed into 5 to 25 minutes (0.2 to 2 MiB/s in most
machines); at 60 to 85 % of the machine a supervisor restarts the service, and all of it is free at
once. In a guest without swap it has to be paid for until then: a policy that shrinks such a guest
kills it.
"""

import numpy as np

from aerostat.simulator.workloads.curves import Curve, path, wander
from aerostat.simulator.workloads.family import Family, machine, programs, reading
from aerostat.simulator.world import GuestSpec


def _make(
    rng: np.random.Generator, _index: int, seconds: float, _common: np.random.Generator
) -> GuestSpec:
    of = machine(rng)
    mean = float(rng.uniform(0.12, 0.28)) * of.room
    work = wander(rng, seconds, mean=mean, spread=0.1 * mean, every=20)
    limit = max(float(rng.uniform(0.60, 0.85)) * of.room - mean, 0.1 * of.room)
    cycle = float(rng.uniform(300, 1500))
    begin = -cycle * float(rng.random())
    points = []
    while begin < seconds:
        points += [(begin, 0.0), (begin + cycle - 1, limit)]
        begin += cycle
    saw = path([*points, (begin, 0.0)])
    times = np.unique(np.concatenate([work.at, saw.at[saw.at > 0], np.zeros(1)]))
    leaked, used = saw.over(times), work.over(times)
    return of.spec(
        seconds,
        hold=Curve(times, leaked + used),
        cold=Curve(times, (leaked + 0.2 * used) / (leaked + used)),
        mapped=programs(rng, of),
        files=reading(rng, of, seconds, rates=(0.5, 6), spans=(0.1, 1.0)),
    )


FAMILY = Family(
    "leak",
    "Leaks",
    "Services that lose memory, cold and useless, until they are restarted.",
    _make,
)
