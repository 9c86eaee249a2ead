"""A Firecracker platform's rule: take what lies free, give all back in need.

Source: vm0-ai/vm0, the balloon controller as described in its issues 19633 and 30221 and its pull
request 30227 of August 2026. Every five seconds, for each guest by itself::

    available < 192 MiB:  all of its RAM, at once
    free > 384 MiB:       smaller by what it has free beyond 256 MiB, but at most by 256 MiB, and
                          never below 1 GiB

The host is not looked at. A guest that does not tell what is available is judged by what is free;
one that tells nothing is left alone.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs
from aerostat.engine.policies.figures import available_memory, free_memory, within_limits
from aerostat.units import MIB, format_size


@dataclass(frozen=True, slots=True)
class Vm0:
    """Take free memory in strides, and give everything back to a guest that runs short."""

    name: ClassVar[str] = "vm0"
    KNOBS: ClassVar[Knobs] = {
        "much": Knob(128.0 * MIB, 768.0 * MIB, logarithmic=True),
        "little": Knob(48.0 * MIB, 384.0 * MIB, logarithmic=True),
        "stride": Knob(32.0 * MIB, 512.0 * MIB, logarithmic=True),
        "floor": Knob(128.0 * MIB, 1024.0 * MIB, logarithmic=True),
    }

    much: float = 384.0 * MIB
    """With more than this free a guest gives, down to two thirds of this."""
    little: float = 192.0 * MIB
    """With less than this available it gets everything back."""
    stride: float = 256.0 * MIB
    """Most that it gives in one step."""
    floor: float = 1024.0 * MIB
    """No guest is taken below this."""
    interval: float = 5.0

    def start(self) -> None:
        """Return nothing: it remembers nothing."""

    def step(
        self,
        memory: None,  # noqa: ARG002 - part of the protocol
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,  # noqa: ARG002 - part of the protocol
        guests: Guests,
    ) -> tuple[None, Decision]:
        """Return who gives, and who gets everything back."""
        guests = guests.sane()
        size, free, available = guests.guest_size, free_memory(guests), available_memory(guests)
        short = guests.managed & (available < self.little)
        gives = guests.managed & ~short & (free > self.much) & (size > self.floor)
        stride = np.minimum(free - self.much * 2.0 / 3.0, self.stride)
        wish = np.where(short, guests.ceiling, np.maximum(size - stride, self.floor))
        target = np.where(short | gives, within_limits(wish, guests), np.nan)

        def why(row: int) -> str:
            if short[row]:
                return f"gets everything: it has only {format_size(available[row])} available"
            if gives[row]:
                given = format_size(size[row] - target[row])
                return f"gives {given} of the {format_size(free[row])} that it has free"
            return f"keeps its {format_size(size[row])}"

        return None, Decision(target, why)
