"""The clairvoyant: it knows what every guest will need, and divides the budget by that.

No manager can do this; it is here to show how much there is to gain. It looks `ahead` as far as
balloons need to bring the memory there, and asks its `Foresight` for the largest need until then:

1. every guest gets its need with nothing lost, and what the host then has left is divided by what
   each could still have;
2. where that does not fit, every guest gets the need at which it loses the share `slack` of its
   time, and the rest fills the needs up;
3. where that does not fit either, it hurts as few as it can: guests are served in the order of
   their needs, the smallest first, but one that was hurt before after all that were not, so that
   the same few stay hurt. Those share what is left, and have at least the need at which they lose
   all their time, where all of these fit.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import numpy as np

from aerostat.engine.fill import share_out
from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory, sums
from aerostat.engine.policies.figures import within_limits
from aerostat.errors import UsageError
from aerostat.units import format_size

HURT_FOR = 300.0
"""Seconds for which a guest that was hurt goes on being the one to be hurt."""


class Foresight(Protocol):
    """What a clairvoyant may ask."""

    def need(
        self, keys: tuple[str, ...], now: float, until: float, slack: float = 0.0
    ) -> FloatArray:
        """Return the sizes with which guests lose at most the share `slack` of their time.

        In bytes, for each of `keys`, in all of the time from `now` to `until`.
        """


@dataclass(frozen=True, slots=True)
class Oracle:
    """Give everybody what it will need; where that does not fit, hurt as few as possible."""

    name: ClassVar[str] = "oracle"
    KNOBS: ClassVar[Knobs] = {"ahead": Knob(2.0, 60.0, logarithmic=True)}

    foresight: Foresight | None = None
    """Who knows; a simulation supplies it."""
    ahead: float = 10.0
    """Seconds that it looks ahead."""
    slack: float = 0.01
    """Share of its time that a guest may lose before it counts as hurt."""
    interval: float = 1.0

    def foretold(self, foresight: Foresight) -> Self:
        """Return the one who knows what is to come."""
        return replace(self, foresight=foresight)

    def start(self) -> Memory:
        """Return the memory of one that has hurt nobody. Raises `UsageError` without foresight."""
        if self.foresight is None:
            raise UsageError("the oracle knows the future in simulations only")
        return Memory.blank()

    def step(
        self, memory: Memory, now: float, hosts: Hosts, guests: Guests
    ) -> tuple[Memory, Decision]:
        """Return what everybody will need, as far as it is there."""
        if self.foresight is None:
            raise UsageError("the oracle knows the future in simulations only")
        hosts, guests = hosts.sane(), guests.sane()
        host = guests.host

        def need(slack: float) -> FloatArray:
            assert self.foresight is not None
            size = self.foresight.need(guests.keys, now, now + self.ahead, slack)
            return np.clip(size, guests.guarantee, guests.ceiling)

        budget = np.maximum(hosts.budget - hosts.reserved, 0.0)
        comfort = need(0.0)
        enough = np.minimum(need(self.slack), comfort)
        # The least that keeps a guest alive; where not even that fits, it is no use to begin there.
        least = np.minimum(need(1.0), enough)
        least = np.where((sums(least, guests, hosts) <= budget)[host], least, guests.guarantee)
        known = memory.aligned(guests.keys, hurt=-np.inf)
        served = _served(enough, least, now - known["hurt"] < HURT_FOR, budget, guests, hosts)

        target = least
        mercy = np.where(served, 0.0, enough)
        for brim in (enough - mercy, np.where(served, comfort, 0.0), mercy, guests.ceiling):
            room = np.maximum(brim - target, 0.0)
            left = np.maximum(budget - sums(target, guests, hosts), 0.0)
            target = target + share_out(left, room, np.maximum(room, 1.0), host)
        target = within_limits(target, guests)

        def why(row: int) -> str:
            words = f"will need {format_size(comfort[row])}"
            if not served[row]:
                return f"has {format_size(target[row])} and {words}: it is one of the few to suffer"
            return f"has {format_size(target[row])}: it {words}"

        hurt = np.where(served, known["hurt"], now)
        return Memory(guests.keys, {"hurt": hurt}), Decision(target, why)


def _served(
    enough: FloatArray,
    least: FloatArray,
    hurt: BoolArray,
    budget: FloatArray,
    guests: Guests,
    hosts: Hosts,
) -> BoolArray:
    """Tell who gets enough, when everybody has the least."""
    extra = enough - least
    left = budget - sums(least, guests, hosts)
    order = np.lexsort((extra, hurt, guests.host))
    running = np.cumsum(extra[order])
    where = guests.host[order]
    first = np.concatenate(([True], where[1:] != where[:-1]))[: len(order)]
    before = np.maximum.accumulate(np.where(first, running - extra[order], 0.0))
    served = np.empty(len(guests), dtype=np.bool_)
    served[order] = running - before <= left[where]
    return served | (extra <= 0)
