"""MOM's rules for balloons: oVirt's Memory Overcommitment Manager, as it ships them.

Source: oVirt/mom, ``doc/balloon.rules``, commit 3de1c8e6 of 2025-07-07. With the host's free share
``h``, and averages over the last ten samples, five seconds apart::

    used = average size - average free memory
    h < 0.20:  f      = h - 0.05 if h <= 0.05 else 0.20 * h / 0.20
               target = max(minimum, used + f * size, 0.95 * size)        if that is smaller
    else:      target = min(maximum, max(minimum, used + 0.20 * size, 1.05 * size))

A change of less than 0.25 % is not made. All guests are treated alike, in one pass, whatever the
changes sum up to. A guest without figures is left alone.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory
from aerostat.engine.policies.figures import free_memory, host_free, within_limits
from aerostat.units import format_size

CRITICAL = 0.05
"""Below this share of free memory of the host guests are made to swap."""
LEAST_CHANGE = 0.0025


class Recent(NamedTuple):
    """The last samples of guests and of hosts."""

    sizes: Memory
    free: Memory
    hosts: Memory


@dataclass(frozen=True, slots=True)
class Mom:
    """Shrink everybody a little while the host is short, grow everybody a little while not."""

    name: ClassVar[str] = "mom"
    KNOBS: ClassVar[Knobs] = {
        "host_free": Knob(0.06, 0.5),
        "guest_free": Knob(0.05, 0.5),
        "change": Knob(0.02, 0.3, logarithmic=True),
        "interval": Knob(2.0, 30.0, logarithmic=True),
    }

    host_free: float = 0.20
    """Share of the host's memory below which it is short."""
    guest_free: float = 0.20
    """Share of a guest's size that is left to it free."""
    change: float = 0.05
    """Most that a guest loses in one step, and least that it gains, as a share of its size."""
    interval: float = 10.0
    window: float = 50.0
    """Seconds over which samples are averaged."""

    def start(self) -> Recent:
        """Return the memory of a manager that has seen nothing."""
        return Recent(Memory.blank(), Memory.blank(), Memory.blank())

    def step(
        self,
        memory: Recent,
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[Recent, Decision]:
        """Return a little less for everybody, or a little more."""
        hosts, guests = hosts.sane(), guests.sane()
        free_share = host_free(hosts, guests) / np.maximum(hosts.budget, 1.0)
        last = max(1, round(self.window / self.interval))
        sizes, size = averaged(memory.sizes, guests.keys, guests.guest_size, last)
        free, spare = averaged(memory.free, guests.keys, free_memory(guests), last)
        host_memory, free_share = averaged(memory.hosts, hosts.names, free_share, last)

        short = (free_share < self.host_free)[guests.host]
        kept = self.kept_free(free_share)[guests.host]
        now_size = guests.guest_size
        floor = np.maximum(guests.guarantee, size - spare + kept * now_size)
        shrunk = np.maximum(floor, (1.0 - self.change) * now_size)
        grown = np.minimum(guests.max_size, np.maximum(floor, (1.0 + self.change) * now_size))
        target = within_limits(np.where(short, shrunk, grown), guests)
        change = target - now_size
        moved = (np.abs(change) > LEAST_CHANGE * now_size) & (~short | (change < 0))
        target = np.where(moved, target, np.nan)
        target = self.finished(target, guests)

        def why(row: int) -> str:
            share = f"{free_share[guests.host[row]]:.0%} of the host's memory is free"
            if np.isnan(spare[row]):
                return "is left alone: it has not told what it has free"
            if np.isnan(target[row]):
                return f"keeps its {format_size(now_size[row])}: {share}"
            return f"goes from {format_size(now_size[row])} to {format_size(target[row])}: {share}"

        return Recent(sizes, free, host_memory), Decision(target, why)

    def kept_free(self, free_share: FloatArray) -> FloatArray:
        """Return the share of its size that a guest keeps free; one row a host.

        Below nothing, guests are made to swap.
        """
        kept = self.kept_when_short(free_share)
        return np.where(free_share < self.host_free, kept, self.guest_free)

    def kept_when_short(self, free_share: FloatArray) -> FloatArray:
        """Return the same for hosts that are short of memory: the less they have, the less."""
        scaled = self.guest_free * free_share / self.host_free
        return np.where(free_share <= CRITICAL, free_share - CRITICAL, scaled)

    def finished(self, target: FloatArray, guests: Guests) -> FloatArray:  # noqa: ARG002 - a hook
        """Return the targets after the last rules, of which the shipped policy has none."""
        return target


def averaged(
    memory: Memory, keys: tuple[str, ...], values: FloatArray, last: int
) -> tuple[Memory, FloatArray]:
    """Remember `values` as the newest of the `last` samples; return them and their averages.

    Samples that are not there are left out of the average, which is NaN where there is none.
    """
    names = [str(age) for age in range(last)]
    before = memory.aligned(keys, **dict.fromkeys(names, np.nan))
    samples = [values, *(before[name] for name in names[:-1])]
    told = np.sum([~np.isnan(sample) for sample in samples], axis=0)
    total = np.sum([np.nan_to_num(sample, nan=0.0) for sample in samples], axis=0)
    mean = np.divide(total, told, out=np.full(len(keys), np.nan), where=told > 0)
    return Memory(keys, dict(zip(names, samples, strict=True))), mean
