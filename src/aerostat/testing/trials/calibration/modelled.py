"""An exercise in the model. Pure, and the same each time."""

import math
from collections.abc import Iterator

from aerostat.model.advance import advance
from aerostat.model.pace import PACE, Pace
from aerostat.model.plans import Moment, Plan, Plans
from aerostat.model.state import State
from aerostat.testing.trials.calibration.counts import Counts
from aerostat.testing.trials.calibration.exercises import SIZE, Exercise
from aerostat.units import MIB

SETTLED = 5.0
"""Seconds before an exercise in which what plays it is there, and does nothing."""
PLAYER = 24.0 * MIB
"""What the player holds besides: an interpreter, a pattern of 4 MiB and copies of it."""
MAPPED = 4.0 * MIB
"""What it uses of files all the time: so much is left in the caches of guests that starve."""
LOOK_RATE = 40.0 * MIB
"""What the player looks at again of what it holds, bytes a second: a chunk of 4 MiB each tick."""

_DT = 0.1
_JUMP = 1e-3


def play(exercise: Exercise, pace: Pace = PACE) -> Counts:
    """Return what comes of an exercise in the model."""
    state = State.boot(SIZE, swap_size=exercise.swap_size)
    plans = Plans.of([plan(exercise)])
    pace = pace._replace(round=_round(exercise))
    advance(state, plans, math.nan, 0.0, 0.0, _DT, round(SETTLED / _DT), pace, compile=False)
    before = _cumulated(state)
    counts = Counts({}, [])
    work = dict.fromkeys(("read", "held", "looked_at", "refaults"), 0.0)
    start = _left(state, "start")
    for interval in range(round(exercise.seconds / _DT)):
        at = interval * _DT
        seen = float(state.seen[0])
        outcome = advance(
            state, plans, _target(exercise, at), 0.0, SETTLED + at, _DT, 1, pace, compile=False
        )
        first_read = float(state.seen[0]) - seen
        worked = _DT - float(outcome.stalled[0])
        holds = float(state.anonymous[0] + state.swapped[0]) - PLAYER
        work["refaults"] += float(outcome.refaulted[0] + outcome.read_missed[0]) - first_read
        work["read"] += exercise.workload.wanted(at).read_rate * worked
        work["looked_at"] += min(LOOK_RATE, holds / pace.round) * worked
        work["held"] = max(work["held"], holds)
        counts.balloon.append((at + _DT, float(state.balloon[0])))
        if outcome.killed[0]:
            break
    counts.values = {name: value - before[name] for name, value in _cumulated(state).items()}
    counts.values |= work | start | _left(state, "end")
    counts.reckon(exercise.seconds)
    return counts


def _left(state: State, moment: str) -> dict[str, float]:
    """Return what is free, to be had and cached at the moment that is so called."""
    return {
        f"free_at_{moment}": float(state.free[0]),
        f"available_at_{moment}": float(state.available_memory[0]),
        f"caches_at_{moment}": float(state.disk_caches[0]),
    }


def plan(exercise: Exercise) -> Plan:
    """Return the work of an exercise as the model takes it, after `SETTLED` seconds of none."""
    return Plan(list(_moments(exercise)), grow_rate=exercise.workload.grow_rate)


def _moments(exercise: Exercise) -> Iterator[Moment]:
    idle = Moment(0.0, hold=PLAYER, mapped=MAPPED)
    before = idle
    for step in exercise.workload.steps:
        yield before._replace(at=SETTLED + step.at - _JUMP)
        before = Moment(
            SETTLED + step.at,
            hold=PLAYER + step.hold,
            mapped=MAPPED,
            read_rate=step.read_rate,
            read_span=step.read_span,
            skew=step.skew,
        )
        yield before


def _round(exercise: Exercise) -> float:
    """Return in how many seconds the player looks at all that it holds."""
    return max(step.hold for step in exercise.workload.steps) / LOOK_RATE


def _target(exercise: Exercise, at: float) -> float:
    targets = [size for since, size in exercise.targets if since <= at + _DT / 2]
    return float(targets[-1]) if targets else math.nan


def _cumulated(state: State) -> dict[str, float]:
    rows = {
        "minor_faults": state.minor_faults,
        "major_faults": state.major_faults,
        "async_scans": state.async_scans,
        "async_reclaims": state.async_reclaims,
        "direct_scans": state.direct_scans,
        "direct_reclaims": state.direct_reclaims,
        "alloc_stalls": state.alloc_stalls,
        "swap_out": state.swap_out,
        "swap_in": state.swap_in,
        "disk_reads": state.block_reads,
        "oom_kills": state.oom_kills,
    }
    return {name: float(row[0]) for name, row in rows.items()}
