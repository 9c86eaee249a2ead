"""An exercise in the model. Pure, and the same each time."""

import math
from collections.abc import Iterator

from aerostat.model.advance import advance
from aerostat.model.demand import Outcome
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
    course = _Course(exercise, pace)
    for interval in range(round(exercise.seconds / _DT)):
        if course.ends(interval * _DT):
            break
    return course.counts()


class _Course:
    """One run, from a guest that has settled to its last interval."""

    def __init__(self, exercise: Exercise, pace: Pace) -> None:
        self._exercise = exercise
        self._pace = pace
        self._state = State.boot(SIZE, swap_size=exercise.swap_size)
        self._plans = Plans.of([plan(exercise)])
        self._advance(math.nan, 0.0, round(SETTLED / _DT), PLAYER)
        self._before = _cumulated(self._state)
        self._start = _left(self._state, "start")
        self._work = dict.fromkeys(("read", "held", "looked_at", "refaults"), 0.0)
        self._of_programs = 0.0
        self._balloon: list[tuple[float, float]] = []

    def ends(self, at: float) -> bool:
        """Let an interval pass from second `at` of the exercise on; return whether it ends it."""
        seen = float(self._state.seen[0])
        wanted = self._exercise.workload.wanted(at)
        outcome = self._advance(_target(self._exercise, at), SETTLED + at, 1, PLAYER + wanted.hold)
        worked = _DT - float(outcome.stalled[0])
        first_read = float(self._state.seen[0]) - seen
        holds = float(self._state.anonymous[0] + self._state.swapped[0]) - PLAYER
        work, refaulted = self._work, float(outcome.refaulted[0])
        work["refaults"] += refaulted + float(outcome.read_missed[0]) - first_read
        work["read"] += wanted.read_rate * worked
        work["looked_at"] += (LOOK_RATE if holds > 0 else 0.0) * worked
        work["held"] = max(work["held"], holds)
        self._of_programs += refaulted
        self._balloon.append((at + _DT, float(self._state.balloon[0])))
        return bool(outcome.killed[0])

    def counts(self) -> Counts:
        """Return what came of it."""
        after = _cumulated(self._state)
        values = {name: value - self._before[name] for name, value in after.items()}
        # In user-mode Linux programs' own files are on no disk of the guest's.
        values["disk_reads"] -= self._of_programs
        values |= self._work | self._start | _left(self._state, "end")
        counts = Counts(values, self._balloon)
        counts.reckon(self._exercise.seconds)
        return counts

    def _advance(self, target_size: float, now: float, count: int, hold: float) -> Outcome:
        # The player looks at so much in a second, however much it holds.
        pace = self._pace._replace(round=hold / LOOK_RATE)
        return advance(
            *(self._state, self._plans, target_size, 0.0),
            *(now, _DT, count, pace),
            compile=False,
        )


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
