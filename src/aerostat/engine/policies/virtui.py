"""virtui's rule: a band of use, for each guest by itself.

Source: mvysny/virtui, ``ballooning_vm.rb``, commit 71e0b2e9 of 2026-08-21. Every two seconds::

    used = (total - available) / total, as the guest's kernel tells them
    used >= 65 %:  size * 1.30, at once
    used <= 55 %:  size * 0.90, at most every ten seconds

A guest is left alone for 20 seconds after it was first seen, and while its figures are older than
12 seconds or the same as before. The host is not looked at.

Its floor of 8 GiB is made for desktops; here it is that, or the share `floor` of a guest's RAM
where that is less.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory
from aerostat.engine.policies.figures import available_memory, within_limits
from aerostat.units import GIB, format_size

GRACE = 20.0
OLD = 12.0
BETWEEN_SHRINKS = 10.0
LARGEST_FLOOR = 8 * GIB
GROWTH = 1.30
SHRINKING = 0.90


@dataclass(frozen=True, slots=True)
class Virtui:
    """Keep what each guest uses between 55 and 65 % of what it has."""

    name: ClassVar[str] = "virtui"
    KNOBS: ClassVar[Knobs] = {
        "high": Knob(0.5, 0.95),
        "band": Knob(0.02, 0.3),
        "floor": Knob(0.05, 0.75, logarithmic=True),
    }

    high: float = 0.65
    """Share in use from which on a guest grows."""
    band: float = 0.10
    """So far below that it shrinks."""
    floor: float = 0.125
    """Share of its RAM below which no guest is taken."""
    interval: float = 2.0

    def start(self) -> Memory:
        """Return the memory of a manager that has seen nothing."""
        return Memory.blank()

    def step(
        self,
        memory: Memory,
        now: float,
        hosts: Hosts,  # noqa: ARG002 - part of the protocol
        guests: Guests,
    ) -> tuple[Memory, Decision]:
        """Return what grows, and what shrinks."""
        guests = guests.sane()
        size = guests.guest_size
        known = memory.aligned(guests.keys, first=now, sample=-np.inf, shrunk=-np.inf)
        total = guests.statistics[:, Tag.TOTAL_MEMORY]
        total = np.where(total > 0, total, np.maximum(size, 1.0))
        used = 1.0 - available_memory(guests) / total
        sample = guests.sample_time
        heard = (now - sample <= OLD) & (sample > known["sample"]) & ~np.isnan(used)
        heard &= (now - known["first"] >= GRACE) & guests.managed

        floor = np.minimum(LARGEST_FLOOR, self.floor * guests.max_size)
        grows = heard & (used >= self.high)
        shrinks = heard & (used <= self.high - self.band) & (size > floor)
        shrinks &= now - known["shrunk"] >= BETWEEN_SHRINKS
        wish = np.where(grows, GROWTH * size, np.maximum(SHRINKING * size, floor))
        target = np.where(grows | shrinks, within_limits(wish, guests), np.nan)

        def why(row: int) -> str:
            if not heard[row]:
                return "is left alone: it is too new, or has not told anything new"
            words = f"it uses {used[row]:.0%} of its {format_size(size[row])}"
            return (
                f"gets {format_size(target[row])}: {words}"
                if grows[row]
                else (
                    f"is left {format_size(target[row])}: {words}"
                    if shrinks[row]
                    else f"keeps what it has: {words}"
                )
            )

        columns = {
            "first": known["first"],
            "sample": np.fmax(sample, known["sample"]),
            "shrunk": np.where(shrinks, now, known["shrunk"]),
        }
        return Memory(guests.keys, columns), Decision(target, why)
