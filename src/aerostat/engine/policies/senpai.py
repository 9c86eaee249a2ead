"""Senpai: squeeze each guest gently until it complains, and give way at once.

Source: facebookincubator/senpai, ``senpai.py``, commit c51e8e21 of 2019-08-20. Every second, with
``I`` the pressure (time in which tasks waited for memory) since the last adjustment::

    I > 10 ms:           limit *= 1 + min(((I / 10 ms) / 20)^2, 1)
    six seconds passed:  limit *= 1 - min(((10 ms / I) / 10)^2 * 0.01, 0.01)

between 100 MiB and the maximum. The host is not looked at. There it begins with what is in memory,
and a control group that wants more is slowed down; a guest that is still starting would have its
programs killed. So here it begins with the size that the guest has.

It reads a control group's pressure (PSI). Guests have none on the virtio queue; what stands for it
is made of their statistics: the time that stalls, or direct reclaim, and major faults take. A
guest that sends nothing new is left as it is.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory
from aerostat.engine.policies.figures import free_memory, within_limits
from aerostat.units import GIB, MIB, format_size

FAULT = 0.2e-3
"""Seconds that a fault takes which goes to a solid-state disk."""
RECLAIM_RATE = 2.0 * GIB
"""Bytes that a task reclaims in a second, ..."""
STALL = 32 * PAGE_SIZE / RECLAIM_RATE
"""... and how long it takes for what it reclaims at a time (SWAP_CLUSTER_MAX)."""
LOWEST = 100 * MIB

_COUNTERS = {
    "stalls": Tag.ALLOC_STALLS,
    "reclaimed": Tag.DIRECT_RECLAIMS,
    "faults": Tag.MAJOR_FAULTS,
}


@dataclass(frozen=True, slots=True)
class Senpai:
    """Take a hundredth at a time while a guest waits for memory less than 10 ms in six seconds."""

    name: ClassVar[str] = "senpai"
    KNOBS: ClassVar[Knobs] = {
        "pressure": Knob(0.001, 0.1, logarithmic=True),
        "period": Knob(1.0, 20.0, logarithmic=True),
        "probe": Knob(0.002, 0.1, logarithmic=True),
        "backoff": Knob(5.0, 50.0, logarithmic=True),
    }

    pressure: float = 0.010
    """Seconds of waiting in a period that are aimed at."""
    period: float = 6.0
    """Seconds between two squeezes."""
    probe: float = 0.01
    """Most that is taken at once, as a share of the limit."""
    backoff: float = 20.0
    """Times the pressure aimed at for which the limit is doubled."""
    interval: float = 1.0

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
        """Return who is given way to, and who is squeezed."""
        guests = guests.sane()
        free = free_memory(guests)
        begins = dict.fromkeys(_COUNTERS, np.nan)
        known = memory.aligned(
            guests.keys, limit=np.nan, waited=0.0, since=now, sample=-np.inf, **begins
        )
        heard = (guests.sample_time > known["sample"]) & ~np.isnan(free) & guests.managed
        first = heard & np.isnan(known["limit"])
        limit = np.where(first, guests.guest_size, known["limit"])
        waited = known["waited"] + np.where(heard, _waited(known, guests), 0.0)

        suffers = heard & (waited > self.pressure)
        content = heard & ~suffers & (now - known["since"] >= self.period)
        grown = np.minimum((waited / self.pressure / self.backoff) ** 2, 1.0)
        relative = self.pressure / np.maximum(waited, 1e-6) / 10.0
        shrunk = np.minimum(relative**2, 1.0) * self.probe
        change = np.where(suffers, grown, np.where(content, -shrunk, 0.0))
        limit = np.clip(limit * (1.0 + change), LOWEST, guests.ceiling)
        adjusted = suffers | content | first
        target = np.where(adjusted, within_limits(limit, guests), np.nan)

        def why(row: int) -> str:
            words = f"it waited {1e3 * waited[row]:.1f} ms for memory"
            if suffers[row]:
                return f"is given way to, up to {format_size(target[row])}: {words}"
            if content[row] or first[row]:
                return f"is squeezed to {format_size(target[row])}: {words}"
            return f"is watched: {words}"

        columns = {
            "limit": limit,
            "waited": np.where(suffers | content, 0.0, waited),
            "since": np.where(adjusted, now, known["since"]),
            "sample": np.where(heard, guests.sample_time, known["sample"]),
        }
        for name, tag in _COUNTERS.items():
            columns[name] = np.where(heard, guests.statistics[:, tag], known[name])
        return Memory(guests.keys, columns), Decision(target, why)


def _waited(known: Memory, guests: Guests) -> FloatArray:
    """Return how long tasks of each guest waited for memory since the last sample, seconds.

    What is not told, and a counter that went backwards (a reboot), says nothing.
    """

    def step(name: str) -> FloatArray:
        more = guests.statistics[:, _COUNTERS[name]] - known[name]
        return np.nan_to_num(np.maximum(more, 0.0), nan=0.0)

    # Stalls and what was reclaimed in them are two views of the same time; and however many tasks
    # wait, pressure counts the time once.
    reclaiming = np.maximum(step("stalls") * STALL, step("reclaimed") / RECLAIM_RATE)
    passed = guests.sample_time - known["sample"]
    return np.fmin(reclaiming + step("faults") * FAULT, np.maximum(passed, 0.0))
