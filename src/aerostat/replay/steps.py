"""The engine over recorded ticks: what was decided then, decided again.

`step` is pure, and a journal has what it was fed and now and then the state that it had. So the
same settings give the same decisions, bit for bit; and another policy can be asked at each tick
what it would have done in the situation that there was, under the same safeguards. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from aerostat.daemon.journal.reading import Run, Tick
from aerostat.daemon.journal.recording import Decided
from aerostat.daemon.thinking import OURS, Guide, unasked
from aerostat.engine.observation import BoolArray, FloatArray
from aerostat.engine.plan import Plan
from aerostat.engine.policies.guarded import Consulted, consult
from aerostat.engine.settings import Settings
from aerostat.engine.state import COLUMNS, State
from aerostat.engine.step import step
from aerostat.engine.wishes import Wishes

Change = Callable[[Settings], Settings]
"""Makes another policy's settings of those that were recorded."""

_LEARNED = ("demand", "growth", "read_rate", "pressure", "cause", "harm_time")
"""What an engine makes of the figures by itself, whatever balloons do."""


class Replayed(NamedTuple):
    """One step, done again; `other` is the plan of the other policy, if there is one."""

    tick: Tick
    run: Run
    plan: Plan
    other: Plan | None

    @property
    def identical(self) -> bool | None:
        """Whether the decisions are those that were recorded; None where none were."""
        return None if self.tick.decided is None else not self.unlike_recorded().any()

    def unlike_recorded(self) -> BoolArray:
        """Tell for which guests another decision was recorded; all zeros where none was."""
        recorded = self.tick.decided
        if recorded is None:
            return np.zeros(len(self.plan.keys), dtype=np.bool_)
        again = Decided.of(self.plan)
        same_reason = np.array(again.reason, dtype=object) == np.array(
            recorded.reason, dtype=object
        )
        return np.asarray(~(_same(again.target_size, recorded.target_size) & same_reason))

    def unlike_other(self) -> BoolArray:
        """Tell which guests the other policy would have moved otherwise; zeros without one."""
        if self.other is None:
            return np.zeros(len(self.plan.keys), dtype=np.bool_)
        return ~_same(self.plan.target_size, self.other.target_size)


class Replayer:
    """Fed with a journal's ticks in order; `runs` are the journal's.

    `skipped` counts ticks that nothing leads to (the first after a gap, until a state was kept),
    `states` how often a kept state could be compared with the one at hand, and
    `unlike_states` how often it was another. With a `change` of settings, or a `guide`, which is
    another policy, there is something to compare with; `failures` counts how often that policy
    failed, and `problem` says how it did first.
    """

    def __init__(
        self,
        runs: Mapping[int, Run],
        change: Change | None = None,
        guide: Guide | None = None,
    ) -> None:
        self.skipped = 0
        self.states = 0
        self.unlike_states = 0
        self.failures = 0
        self.problem = ""
        self._runs = runs
        self._change = change
        self._guide = guide
        self._consulted = Consulted()
        self._state: State | None = None
        self._other = State.empty()
        self._last: Tick | None = None

    def feed(self, tick: Tick) -> Replayed | None:
        """Do a step again; None where what the engine knew then is not known."""
        self._take_up(tick)
        self._last = tick
        run = self._runs.get(tick.run)
        if self._state is None or run is None:
            self.skipped += 1
            return None
        seen = tick.observation
        recorded = _recorded_wishes(tick, run)
        state, plan = step(self._state, seen.time, seen.hosts, seen.guests, run.settings, recorded)
        self._state = state if run.manage else unasked(state)
        other = None
        if self._change is not None or self._guide is not None:
            settings = self._change(run.settings) if self._change else run.settings
            wishes = self._wishes(tick) if self._guide else recorded
            learned, other = step(self._other, seen.time, seen.hosts, seen.guests, settings, wishes)
            self._other = _in_this_world(self._state, learned)
        return Replayed(tick, run, plan, other)

    def _wishes(self, tick: Tick) -> Wishes | None:
        """Return what the other policy wishes; None for the engine's own, and where it fails."""
        if self._guide is None or self._guide.spec == OURS:
            return None
        seen = tick.observation
        advice = consult(self._guide.policy, self._consulted, seen.time, seen.hosts, seen.guests)
        self._consulted = advice.consulted
        self.failures += advice.wishes is None
        self.problem = self.problem or advice.problem
        return advice.wishes

    def _take_up(self, tick: Tick) -> None:
        """Go on from the tick before, or from the state that was kept with this one."""
        follows = self._last is not None and _follows(self._last, tick)
        if not follows:
            self._consulted = Consulted()
        if tick.state is not None:
            if follows and self._state is not None and tick.why == "due":
                self.states += 1
                self.unlike_states += not _same_state(self._state, tick.state)
            kept = follows and self._state is not None
            self._other = _in_this_world(tick.state, self._other) if kept else tick.state
            self._state = tick.state
        elif tick.number is None and not follows:
            # Version 1 kept no states: a run began with what an unknown one had left.
            self._state = self._other = State.empty()
        elif not follows:
            self._state = None


def _recorded_wishes(tick: Tick, run: Run) -> Wishes | None:
    """Return what the policy that was followed wished; its words are kept with moves only."""
    size = tick.observation.wishes
    return None if size is None else Wishes(size, lambda _: f"policy {run.policy} wished it")


def _follows(last: Tick, tick: Tick) -> bool:
    if tick.number is None or last.number is None:
        return tick.run == last.run and tick.number is last.number
    return tick.number == last.number + 1


def _in_this_world(state: State, learned: State) -> State:
    """Return what the other policy knows where the recorded one has acted.

    What was asked of balloons, and what came of it, is the recorded policy's; only what is made of
    the figures is the other's own.
    """
    other = learned.aligned(state.keys)
    return replace(state, **{name: getattr(other, name) for name in _LEARNED})


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def _same_state(state: State, kept: State) -> bool:
    """Tell whether two states are the same, one of them having been written and read."""
    state = State.from_dict(state.to_dict())
    return state.keys == kept.keys and all(
        np.array_equal(getattr(state, name), getattr(kept, name), equal_nan=True)
        for name in COLUMNS
    )
