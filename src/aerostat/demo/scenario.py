"""What the guests of the demonstration are, and what each of them does. Pure.

The same seed gives the same work.
"""

import random
from typing import NamedTuple, Self

from aerostat.model.workload import Step, Workload
from aerostat.units import GIB, MIB

BUDGET = 1280 * MIB
CYCLE = 60.0
"""Seconds after which the guests do the same again."""
LIBRARY_SIZE = 1 * GIB
"""What there is to read. It is a hole in a file: it costs the host nothing, and the guests' page
caches all the same."""


class GuestPlan(NamedTuple):
    """One guest: its memory in bytes, and its work, after which it is called."""

    size: int
    workload: Workload

    @property
    def name(self) -> str:
        """Return the guest's name."""
        return self.workload.name


def _work(
    name: str, *steps: tuple[float, float], grow_mib: float = 16, read_mib: float = 0
) -> Workload:
    """Return a workload from (seconds, MiB held) and MiB a second of growth and reading."""
    rate, span = read_mib * MIB, LIBRARY_SIZE if read_mib else 0
    wanted = tuple(Step(at, int(hold * MIB), read_rate=rate, read_span=span) for at, hold in steps)
    return Workload(name, wanted, period=CYCLE, grow_rate=grow_mib * MIB)


# It leaks for most of the cycle, and is then begun anew.
_LEAKY = Workload(
    "leaky",
    (Step(0, 16 * MIB, leak_rate=2.5 * MIB, leak_limit=128 * MIB), Step(54, 16 * MIB)),
    period=CYCLE,
)

# Sizes add up to 2.25 GiB, and what guests hold without a manager to about 1.8 GiB. The work is
# such that what is needed at any one moment, with a reserve each, fits into the budget; what each
# needs at its own peak does not.
GUESTS = (
    GuestPlan(256 * MIB, _work("idle", (0, 8))),
    GuestPlan(512 * MIB, _work("files", (0, 24), read_mib=9)),
    GuestPlan(384 * MIB, _work("database", (0, 40), (9, 170), (30, 70), (36, 235), (56, 40))),
    GuestPlan(
        384 * MIB, _work("batch", (0, 20), (6, 110), (15, 20), (30, 200), (46, 20), grow_mib=22)
    ),
    GuestPlan(256 * MIB, _LEAKY),
    GuestPlan(
        512 * MIB,
        _work("builder", (0, 32), (4, 90), (12, 60), (16, 200), (29, 48), (48, 150), read_mib=3),
    ),
)


def varied(plan: GuestPlan, seed: int) -> GuestPlan:
    """Return the guest with its work a little shifted and scaled, by the seed.

    It does not depend on which other guests there are.
    """
    work = plan.workload
    chance = random.Random(f"{seed} {work.name}")  # noqa: S311 - a script, not a secret
    shift, scale = chance.uniform(0.0, 1.5), chance.uniform(0.95, 1.05)
    moved = (
        step._replace(at=step.at + shift if step.at else 0.0, hold=int(step.hold * scale))
        for step in work.steps
    )
    return plan._replace(workload=work._replace(steps=tuple(moved)))


class Setting(NamedTuple):
    """What one trial is made under: which guests, and whether their balloons are moved."""

    name: str
    title: str
    guests: tuple[GuestPlan, ...]
    manage: bool

    @property
    def memory(self) -> int:
        """Return the sum of the guests' sizes, in bytes."""
        return sum(guest.size for guest in self.guests)

    @classmethod
    def managed(cls) -> Self:
        """Return full sizes under a manager."""
        return cls("managed", "aerostat", GUESTS, manage=True)

    @classmethod
    def full_sizes(cls) -> Self:
        """Return the same guests, let alone: what the host would have needed."""
        return cls("full_sizes", "full sizes", GUESTS, manage=False)

    @classmethod
    def equal_sizes(cls, budget: int) -> Self:
        """Return guests among which the budget is divided for good, in equal parts."""
        part = budget // len(GUESTS) // MIB * MIB  # a kernel takes whole MiB
        guests = tuple(guest._replace(size=part) for guest in GUESTS)
        return cls("equal_sizes", "equal shares", guests, manage=False)
