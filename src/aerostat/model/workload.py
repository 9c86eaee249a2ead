"""Workloads as data: what a guest's programs want of its memory, second by second.

Pure, standard library only: real guests play these plans as well as modelled ones, and have no
NumPy. The same plan wants the same in every run.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

_UNBOUNDED = 2**62


class Step(NamedTuple):
    """What is wanted from second `at` on, until the next step. Bytes, and bytes a second."""

    at: float
    hold: int = 0
    """Anonymous memory, filled and looked at again and again."""
    leak_rate: float = 0
    """By how much more is held each second since `at`, ..."""
    leak_limit: int = _UNBOUNDED
    """... and how much more at most."""
    read_rate: float = 0
    """Reading of a file, round and round, which fills the page cache ..."""
    read_span: int = 0
    """... with at most this much."""
    skew: float = 0
    """Not round and round, but here and there: 1 anywhere alike; the more, the more often the same
    places, so that a cache of the share c of the span, well chosen, misses (1 - c) ** skew."""


class Workload(NamedTuple):
    """Steps in order of their time, the first at 0; after `period` seconds they begin anew."""

    name: str
    steps: tuple[Step, ...]
    period: float = math.inf
    grow_rate: float = 128 << 20
    """How fast more is taken at most: a program computes with what it takes."""
    at_random: bool = False
    """Real programs look again at what they hold here and there, and not in turn, which is what a
    kernel that swaps knows least to deal with. Modelled ones always do."""

    def wanted(self, seconds: float) -> Step:
        """Return what is wanted `seconds` after the beginning, leaks reckoned into `hold`."""
        if math.isfinite(self.period):
            seconds %= self.period
        step = next(step for step in reversed(self.steps) if step.at <= seconds)
        leaked = min(step.leak_limit, int(step.leak_rate * (seconds - step.at)))
        return step._replace(hold=step.hold + leaked)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        plan = self._asdict()
        plan["steps"] = [list(step) for step in self.steps]
        plan["period"] = self.period if math.isfinite(self.period) else None
        return plan

    @classmethod
    def from_dict(cls, plan: Mapping[str, Any]) -> "Workload":
        """Return the plan that `to_dict` made JSON of."""
        steps = tuple(Step(*step) for step in plan["steps"])
        return cls(**{**plan, "steps": steps, "period": plan["period"] or math.inf})


def idle(hold: int) -> Workload:
    """Hold a little, and want nothing more."""
    return Workload("idle", (Step(0, hold),))


def reader(hold: int, *, rate: float, span: int, skew: float = 0) -> Workload:
    """Read a file of `span` bytes at `rate`: the page cache grows."""
    return Workload("reader", (Step(0, hold, read_rate=rate, read_span=span, skew=skew),))


def steps(low: int, high: int, *, every: float) -> Workload:
    """Have a working set that steps up, and `every` seconds later down again, and so on."""
    return Workload("steps", (Step(0, low), Step(every, high)), period=2 * every)


def burst(hold: int, peak: int, *, at: float, length: float, period: float) -> Workload:
    """Hold a little, and much more for a while: once in every `period` seconds."""
    return Workload("burst", (Step(0, hold), Step(at, peak), Step(at + length, hold)), period)


def leak(hold: int, *, rate: float, limit: int) -> Workload:
    """Lose memory at `rate`, until `limit` more than in the beginning is held."""
    return Workload("leak", (Step(0, hold, leak_rate=rate, leak_limit=limit),))
