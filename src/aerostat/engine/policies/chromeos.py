"""ChromeOS' balance of what is available in guests and on the host.

Source: ChromeOS platform2, ``vm_tools/concierge/balloon_policy``, the policy BalanceAvailable,
commit 3050786c of 2026-08-21. For a guest that has ``G`` free or in its page cache, with a balloon
that is ``full`` (of the largest seen, which starts at three quarters of its RAM)::

    g     = G - critical - bias * full
    h     = what the host has available - 5.2 % of its memory
    delta = (g - h) / 2, at least -(h + 10 MiB), at most G - critical + 10 MiB
    done if g or h is below 1 MiB, or delta above 1 % of g or of h

``critical`` is 400 MiB until a guest with a balloon less than 95 % full was below it twice: then
it is what the guest had the first time.

ChromeOS has a guest or two. So that many together do not take from the same host what one alone
would balance, the ``2`` is here one more than the guests of the host, and the host's own part is
divided among them: for one guest that is the same. A guest that says nothing is left alone.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory, sums
from aerostat.engine.policies.figures import free_and_caches, host_free, within_limits
from aerostat.units import MIB, format_size

SLACK = 10 * MIB
LITTLE = MIB
FULL = 0.95
FIRST_BALLOON = 0.75


@dataclass(frozen=True, slots=True)
class ChromeOs:
    """Leave as much available in every guest as on the host."""

    name: ClassVar[str] = "chromeos"
    KNOBS: ClassVar[Knobs] = {
        "critical": Knob(32.0 * MIB, 512.0 * MIB, logarithmic=True),
        "bias": Knob(0.0, 256.0 * MIB),
        "margin": Knob(0.01, 0.2, logarithmic=True),
    }

    critical: float = 400.0 * MIB
    """What a guest keeps available; lowered as it turns out to live with less."""
    bias: float = 0.0
    """What a guest keeps besides when its balloon is full."""
    margin: float = 0.052
    """Share of its memory that the host keeps."""
    interval: float = 1.0

    def start(self) -> Memory:
        """Return the memory of a manager that has seen nothing."""
        return Memory.blank()

    def step(
        self,
        memory: Memory,
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[Memory, Decision]:
        """Return sizes that are nearer to the balance."""
        hosts, guests = hosts.sane(), guests.sane()
        host, balloon = guests.host, guests.max_size - guests.guest_size
        spare = free_and_caches(guests)
        told = ~np.isnan(spare) & guests.managed
        known = memory.aligned(guests.keys, critical=self.critical, below=np.nan, largest=0.0)
        largest = np.maximum(known["largest"], FIRST_BALLOON * guests.max_size)
        largest = np.maximum(largest, balloon)
        full = balloon / np.maximum(largest, 1.0)
        critical, below = _learned(known["critical"], known["below"], spare, full)

        part = np.maximum(sums(told.astype(np.float64), guests, hosts), 1.0)[host]
        left = (host_free(hosts, guests) - self.margin * hosts.budget)[host]
        own = spare - critical - self.bias * full
        delta = np.maximum((own - left) / (part + 1.0), -(left + SLACK) / part)
        delta = np.maximum(np.minimum(delta, spare - critical + SLACK), -balloon)
        large = (np.abs(delta) > 0.01 * np.abs(own)) | (np.abs(delta) > 0.01 * np.abs(left))
        acts = told & (large | (own < LITTLE) | (left < LITTLE)) & (np.abs(delta) >= LITTLE)
        target = np.where(acts, within_limits(guests.guest_size - delta, guests), np.nan)

        def why(row: int) -> str:
            if not told[row]:
                return "is left alone: it has not told what it has free"
            words = f"it has {format_size(own[row])} to spare, the host {format_size(left[row])}"
            if np.isnan(target[row]):
                return f"keeps its {format_size(guests.guest_size[row])}: {words}"
            return f"goes to {format_size(target[row])}: {words}"

        columns = {"critical": critical, "below": below, "largest": largest}
        return Memory(guests.keys, columns), Decision(target, why)


def _learned(
    critical: FloatArray, below: FloatArray, spare: FloatArray, full: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what each guest must keep, and what it had when it was first below that, or NaN."""
    low = (spare < critical) & (full < FULL)
    again = low & ~np.isnan(below)
    critical = np.where(again, np.minimum(critical, below), critical)
    return critical, np.where(low & ~again, spare, np.nan)
