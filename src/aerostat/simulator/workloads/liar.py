"""Liars: every eighth guest says that it has nothing left and faults all the time.

Figures are the guest's own word: who says that it starves is given more by whoever believes it.
What such a guest gains, others pay. Its own work is small and even; the others are steady services
and builds, about half each.
"""

from dataclasses import replace

import numpy as np

from aerostat.simulator.workloads import build, steady
from aerostat.simulator.workloads.family import Family
from aerostat.simulator.world import GuestSpec

_EVERY = 8
# Not the first, so that the smallest hosts have honest guests only.
_WHICH = 3


def _make(
    rng: np.random.Generator, index: int, seconds: float, common: np.random.Generator
) -> GuestSpec:
    if index % _EVERY == _WHICH:
        return replace(steady.FAMILY.make(rng, index, seconds, common), dialect="liar")
    honest = steady.FAMILY if index % 2 else build.FAMILY
    return honest.make(rng, index, seconds, common)


FAMILY = Family(
    "liar",
    "Liars",
    "Every eighth guest claims to starve and does not; the others are steady services and builds.",
    _make,
)
