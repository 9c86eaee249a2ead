"""Dynamic Memory, in the manner of Hyper-V.

Source: the guest's side is public (Linux, ``drivers/hv/hv_balloon.c``); the host's rule is not,
and is taken from its documentation: what is assigned is the guest's demand and a buffer of 20 %,
between its minimum and its maximum; a host that is short drops buffers first, and then divides by
weight. Every second::

    demand = committed memory + floor(RAM)
    target = demand * (1 + buffer), where those fit the host; of the buffer what fits; or else
             demand, as far as the host goes, by weight
    a guest gives no more than leaves it floor(RAM) available

Committed memory is not on the virtio queue: what the guest has in use, cache left out, stands for
it. Guests that say nothing keep their sizes, and the others share what is left.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.fill import share_out, waterfill
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, sums
from aerostat.engine.policies.figures import available_memory, minimum_size, within_limits
from aerostat.units import MIB, format_size

# Up to how many MiB of RAM; what is kept, in MiB; and how many MiB of RAM make one more of it.
_FLOORS = ((128, 8, 2), (512, 40, 4), (2048, 104, 8), (8192, 232, 16), (np.inf, 488, 32))


@dataclass(frozen=True, slots=True)
class HyperV:
    """Give every guest its demand and a buffer; where that does not fit, by weight."""

    name: ClassVar[str] = "hyperv"
    KNOBS: ClassVar[Knobs] = {
        "buffer": Knob(0.05, 2.0, logarithmic=True),
        "minimum": Knob(0.125, 0.75, logarithmic=True),
    }

    buffer: float = 0.20
    """Share of its demand that a guest has on top of it."""
    minimum: float = 0.125
    """Share of its RAM below which a guest is never taken, nor below its guarantee."""
    interval: float = 1.0

    def start(self) -> None:
        """Return nothing: it remembers nothing."""

    def step(
        self,
        memory: None,  # noqa: ARG002 - part of the protocol
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[None, Decision]:
        """Return what each guest is assigned."""
        hosts, guests = hosts.sane(), guests.sane()
        size, spare = guests.guest_size, available_memory(guests)
        told = ~np.isnan(spare) & guests.managed
        floor = kept(guests.max_size)
        demand = np.where(told, np.clip(size - spare + floor, 0.0, guests.ceiling), size)
        least = np.where(told, minimum_size(guests, self.minimum), size)
        needed = np.maximum(demand, least)
        buffer = np.clip(demand * (1.0 + self.buffer), least, guests.ceiling) - needed
        buffer = np.where(told, np.maximum(buffer, 0.0), 0.0)

        pool = np.maximum(hosts.budget - hosts.reserved, 0.0)
        target = waterfill(pool, least, needed, guests.shares, guests.host)
        rest = np.maximum(pool - sums(target, guests, hosts), 0.0)
        target = target + share_out(rest, buffer, guests.shares, guests.host)
        # The guest's driver does not give its last.
        target = np.maximum(target, size - np.maximum(spare - floor, 0.0))
        target = np.where(told, within_limits(target, guests), np.nan)

        def why(row: int) -> str:
            if not told[row]:
                return "is left alone: it has not told what it has available"
            words = f"is assigned {format_size(target[row])} for its demand of "
            return words + format_size(demand[row])

        return None, Decision(target, why)


def kept(ram: FloatArray) -> FloatArray:
    """Return the memory below which a guest's driver gives nothing, for so much RAM; bytes."""
    ram_mib = ram / MIB
    below = [ram_mib < limit for limit, _, _ in _FLOORS]
    return np.select(below, [(base + ram_mib / part) * MIB for _, base, part in _FLOORS])
