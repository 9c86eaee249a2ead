"""Fixed sizes, as most hosts have them: the budget divided once, or more than once.

Every guest has its share of ``overcommit * budget``, and at most its ceiling: with 1, sizes fit
the host whatever guests do; with ``inf``, every guest has its full size, and the host hopes. Sizes
change only when guests come or go.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.fill import waterfill
from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs
from aerostat.engine.policies.figures import within_limits
from aerostat.units import format_size


@dataclass(frozen=True, slots=True)
class Static:
    """An equal share of the budget for every guest, whatever it does."""

    name: ClassVar[str] = "static"
    KNOBS: ClassVar[Knobs] = {"overcommit": Knob(1.0, 4.0, logarithmic=True)}

    overcommit: float = 1.0
    """How many times the budget is given away; ``inf`` for full sizes."""
    interval: float = 10.0

    def start(self) -> None:
        """Return nothing: it remembers nothing."""

    def step(
        self,
        memory: None,  # noqa: ARG002 - part of the protocol
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[None, Decision]:
        """Return the same sizes as ever."""
        target = self.boots_at(hosts, guests)

        def why(row: int) -> str:
            return f"has {format_size(target[row])}, its fixed share"

        return None, Decision(target, why)

    def boots_at(self, hosts: Hosts, guests: Guests) -> FloatArray:
        """Return the sizes that guests have from the beginning, and keep."""
        hosts, guests = hosts.sane(), guests.sane()
        left = np.maximum(hosts.budget - hosts.reserved, 0.0)
        amount = np.where(left > 0, self.overcommit * np.maximum(left, 1.0), 0.0)
        size = waterfill(amount, guests.guarantee, guests.ceiling, guests.shares, guests.host)
        return within_limits(size, guests)
