"""The clairvoyant: it knows what every guest will need, and divides the budget by that.

No manager can do this; it is here to show how much there is to gain. It looks `ahead` as far as
balloons need to bring the memory there, and asks its `Foresight` for the largest need until then,
at several levels: what keeps a guest's programs alive, what lets them work with few of their files
cached, with more, and with all. The budget is poured over all guests level by level; before it goes
to files, memory is kept from the swap that will be used again before long.

Where the second does not fit for all, some are hurt, as few at a time as can be: those of the
largest needs. Each is hurt for `PATIENCE` seconds and then served before those that were hurt less,
so that nobody is hurt much. Where even life does not fit for all, guarantees are where it begins.
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

PATIENCE = 5.0
"""Seconds for which a guest is hurt before it is another's turn: changing costs both."""
LEVELS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.0)
"""Which shares of its time a guest would lose; with the first, it lacks little but files."""


class Foresight(Protocol):
    """What a clairvoyant may ask."""

    def need(
        self, keys: tuple[str, ...], now: float, until: float, slack: float = 0.0
    ) -> FloatArray:
        """Return the sizes with which guests lose at most the share `slack` of their time.

        In bytes, for each of `keys`, in all of the time from `now` to `until`.
        """

    def whole(self, keys: tuple[str, ...], now: float, until: float) -> FloatArray:
        """Return the sizes with which nothing that guests hold has to go to the swap; as `need`."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """Give everybody what it will need; where that does not fit, hurt as few as possible."""

    name: ClassVar[str] = "oracle"
    KNOBS: ClassVar[Knobs] = {
        "ahead": Knob(1.5, 15.0, logarithmic=True),
        "far": Knob(20.0, 1200.0, logarithmic=True),
    }

    foresight: Foresight | None = None
    """Who knows; a simulation supplies it."""
    ahead: float = 3.0
    """Seconds that it looks ahead for what must be there."""
    far: float = 240.0
    """Seconds for which it saves memory from being swapped out that will be used again."""
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

        def need(slack: float, ahead: float = self.ahead) -> FloatArray:
            assert self.foresight is not None
            size = self.foresight.need(guests.keys, now, now + ahead, slack)
            return np.clip(size, guests.guarantee, guests.ceiling)

        budget = np.maximum(hosts.budget - hosts.reserved, 0.0)
        levels = [need(slack) for slack in LEVELS]
        alive = need(1.0)
        whole = self.foresight.whole(guests.keys, now, now + self.ahead)
        # What is cold now, and will not be before long, is not worth a way to the swap and back.
        soon = np.maximum(np.minimum(whole, need(LEVELS[0], self.far)), levels[0])
        enough, comfort = levels[0], levels[-1]
        least = np.minimum(alive, enough)
        least = np.where((sums(least, guests, hosts) <= budget)[host], least, guests.guarantee)
        known = memory.aligned(guests.keys, hurt=0.0, last=0.0, at=now)
        # Most patient last; of equals, who is hurt already; and then the largest.
        turn = -np.floor(known["hurt"] / PATIENCE) + 0.5 * known["last"]
        served = _served(enough, least, turn, budget, guests, hosts)

        target = least
        brims = [np.where(served, enough, least), enough, soon, *levels[1:], guests.ceiling]
        for brim in brims:
            room = np.maximum(brim - target, 0.0)
            left = np.maximum(budget - sums(target, guests, hosts), 0.0)
            target = target + share_out(left, room, np.maximum(room, 1.0), host)
        target = within_limits(target, guests)

        def why(row: int) -> str:
            words = f"will need {format_size(comfort[row])}"
            if not served[row]:
                return f"has {format_size(target[row])} and {words}: it is one of the few to suffer"
            return f"has {format_size(target[row])}: it {words}"

        hurt = known["hurt"] + np.where(served, 0.0, now - known["at"])
        columns = {"hurt": hurt, "last": 1.0 - served, "at": np.full(len(guests), now)}
        return Memory(guests.keys, columns), Decision(target, why)


def _served(
    enough: FloatArray,
    least: FloatArray,
    turn: FloatArray,
    budget: FloatArray,
    guests: Guests,
    hosts: Hosts,
) -> BoolArray:
    """Tell who gets enough, when everybody has the least."""
    extra = enough - least
    left = budget - sums(least, guests, hosts)
    order = np.lexsort((extra, turn, guests.host))
    running = np.cumsum(extra[order])
    where = guests.host[order]
    first = np.concatenate(([True], where[1:] != where[:-1]))[: len(order)]
    before = np.maximum.accumulate(np.where(first, running - extra[order], 0.0))
    served = np.empty(len(guests), dtype=np.bool_)
    served[order] = running - before <= left[where]
    return served | (extra <= 0)
