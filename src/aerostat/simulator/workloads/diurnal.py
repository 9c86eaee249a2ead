"""Services with days and nights: offices, shops, and what is computed for them at night.

A day is compressed into ten minutes, so that a run has two: slopes are a hundred times as steep as
in life. Two of three guests have the same day (one country), the rest any (other time zones, work
at night): peaks of many coincide, as in traces, where the sum of peaks is 2 to 3 times the peak of
the sum. A night is 10 to 20 %, a day 35 to 75 % of the machine.
"""

import numpy as np

from aerostat.simulator.workloads.curves import arrivals, bump, level, path, total, wander
from aerostat.simulator.workloads.family import Family, machine, programs, reading
from aerostat.simulator.world import GuestSpec

_DAY = 600.0
_POINTS = 24


def _make(
    rng: np.random.Generator, _index: int, seconds: float, common: np.random.Generator
) -> GuestSpec:
    of = machine(rng)
    night = float(rng.uniform(0.10, 0.20)) * of.room
    day = float(rng.uniform(0.35, 0.75)) * of.room
    noon = float(common.uniform(0, _DAY))
    noon += float(rng.normal(0, 0.08 * _DAY) if rng.random() < 2 / 3 else rng.uniform(0, _DAY))
    # Broad days or narrow ones.
    sharpness = float(rng.uniform(1.0, 3.0))
    times = np.arange(0.0, seconds + _DAY / _POINTS, _DAY / _POINTS)
    light = (0.5 + 0.5 * np.cos(2 * np.pi * (times - noon) / _DAY)) ** sharpness
    tide = path(zip(times, night + (day - night) * light, strict=True))
    peaks = [
        bump(at, float(rng.uniform(0.03, 0.12)) * of.room, stay=float(rng.uniform(2, 20)))
        for at in arrivals(rng, seconds, gap=100)
    ]
    noise = wander(rng, seconds, mean=0.03 * of.room, spread=0.015 * of.room, every=25)
    files = reading(rng, of, seconds, rates=(1, 8), spans=(0.2, 1.5))
    files["read_rate"] = path(
        zip(times, files["read_rate"].over(times) * (0.2 + 1.3 * light), strict=True)
    )
    return of.spec(
        seconds,
        hold=total([tide, noise, *peaks]),
        cold=level(float(rng.uniform(0.1, 0.4))),
        mapped=programs(rng, of),
        files=files,
    )


FAMILY = Family(
    "diurnal",
    "Days and nights",
    "Two days of ten minutes each; two of three guests have theirs at the same time.",
    _make,
)
