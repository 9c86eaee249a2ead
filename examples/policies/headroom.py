"""A policy to begin with: each guest gets what it used at most lately, and a part of that.

The class is all that there is; aerostat's `docs/policies.md` goes through it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory, sums
from aerostat.units import format_size


@dataclass(frozen=True, slots=True)
class Headroom:
    """Leave each guest what it used at most lately, and a part of that."""

    name: ClassVar[str] = "headroom"
    KNOBS: ClassVar[Knobs] = {"part": Knob(0.05, 1.0), "fading": Knob(0.5, 0.99)}

    part: float = 0.25
    fading: float = 0.9
    """What is left of an earlier peak after each step."""
    interval: float = 2.0

    def start(self) -> Memory:
        """Return the memory of a manager that has seen nothing."""
        return Memory.blank()

    def step(
        self, memory: Memory, now: float, hosts: Hosts, guests: Guests
    ) -> tuple[Memory, Decision]:
        """Return which size each guest should have now, NaN where it does not say what it uses."""
        used = guests.guest_size - guests.statistics[:, Tag.AVAILABLE_MEMORY]
        used = np.where(now - guests.sample_time < 3 * self.interval, used, np.nan)
        peak = np.fmax(used, self.fading * memory.aligned(guests.keys, peak=0.0)["peak"])
        want = np.where(np.isnan(used), guests.guest_size, peak * (1 + self.part))
        fits = np.minimum(hosts.budget / np.maximum(sums(want, guests, hosts), 1), 1)
        size = np.clip(want * fits[guests.host], guests.guarantee, guests.ceiling)

        def why(row: int) -> str:
            if np.isnan(used[row]):
                return "stays as it is: it does not say what it uses"
            return f"should have {format_size(size[row])}: it used up to {format_size(peak[row])}"

        decision = Decision(np.where(np.isnan(used), np.nan, size), why)
        return Memory(guests.keys, {"peak": peak}), decision
