"""A plan as a workload that real guests play: user-mode Linux, process guests. Pure, NumPy.

Real programs hold and read; what of it is cold, mapped or written, a workload does not say. Where
more and more is wanted, it leaks, which is a straight line, too; where less and less is wanted, it
is given back in stairs.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from aerostat.model.plans import Moment, Plan
from aerostat.model.workload import Step, Workload
from aerostat.units import MIB

# Smaller changes are none: real guests have a noise of their own.
_CHANGE, _RATE_CHANGE = 1 * MIB, MIB // 4
# A stair is about as high, and there are at most so many of them on one line.
_STAIR, _MOST_STAIRS = 16 * MIB, 16


def to_workload(plan: Plan, name: str = "plan") -> Workload:
    """Return what a plan wants, as steps that begin when its guest arrives."""
    columns = np.array(plan.moments).T
    begin = Moment._make(np.interp(plan.arrives, columns[0], column) for column in columns)
    moments = [
        begin._replace(at=plan.arrives),
        *(moment for moment in plan.moments if moment.at > plan.arrives),
    ]
    steps: list[Step] = []
    held = -1.0
    for moment, after in pairwise([*_stairs(moments), moments[-1]]):
        step = _step(moment, after, plan.arrives)
        # A line that goes on as the last one said needs no step of its own.
        level = abs(step.hold - held) < _CHANGE and not step.leak_rate
        if not steps or not level or _reads_otherwise(step, steps[-1]):
            steps.append(step)
        held = max(moment.hold, after.hold) if step.leak_rate else held if level else step.hold
    return Workload(name, tuple(steps), grow_rate=plan.grow_rate)


def _stairs(moments: list[Moment]) -> Iterator[Moment]:
    """Give the moments, and others on the way down between two of them."""
    for moment, after in pairwise(moments):
        yield moment
        fall = moment.hold - after.hold
        stairs = min(int(fall / _STAIR), _MOST_STAIRS, int(after.at - moment.at))
        for stair in range(1, stairs):
            part = stair / stairs
            at = moment.at + part * (after.at - moment.at)
            yield moment._replace(at=at, hold=moment.hold - part * fall)
    yield moments[-1]


def _step(moment: Moment, after: Moment, begin: float) -> Step:
    rise = after.hold - moment.hold
    return Step(
        at=round(moment.at - begin, 1),
        hold=int(moment.hold),
        leak_rate=float(rise / (after.at - moment.at)) if rise >= _CHANGE else 0.0,
        leak_limit=int(rise) if rise >= _CHANGE else 0,
        read_rate=float(moment.read_rate),
        read_span=int(moment.read_span),
    )


def _reads_otherwise(one: Step, other: Step) -> bool:
    return (
        abs(one.read_rate - other.read_rate) >= _RATE_CHANGE
        or abs(one.read_span - other.read_span) >= _CHANGE
    )
