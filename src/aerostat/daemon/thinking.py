"""The engine inside the daemon: what was seen becomes columns, and the columns a plan. Pure.

Keeps what the engine has learned from one step to the next.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from aerostat.daemon.columns import guest_columns, host_columns
from aerostat.daemon.journal.recording import Observation, Thought
from aerostat.daemon.orders import Orders
from aerostat.daemon.promises import Promises
from aerostat.daemon.sampler import Seen
from aerostat.engine.plan import Plan
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.host.budget import HostReading


class Step(NamedTuple):
    """One step of the engine: what it was fed, and what it made of that. Never changed after."""

    observation: Observation
    thought: Thought

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.thought.plan


class Thinker:
    """The engine, fed by the daemon. `state` is what it has learned."""

    def __init__(self, settings: Settings, host_name: str) -> None:
        self.settings = settings
        self.state = State.empty()
        self.last: Step | None = None
        self._host_name = host_name

    def age(self, seconds: float) -> None:
        """Have all figures be older by `seconds`: the host was suspended."""
        self.state = replace(self.state, sample_time=self.state.sample_time - seconds)

    def think(
        self,
        now: float,
        wall: float,
        host: HostReading,
        guests: Sequence[Seen],
        promises: Promises,
        orders: Orders,
        *,
        manage: bool,
    ) -> Step:
        """Step the engine. Whatever it raises is a fault of ours; its state is unchanged then."""
        hosts = host_columns(self._host_name, host, orders.reservations.total)
        columns = guest_columns(guests, promises, orders, now)
        before = self.state
        state, plan = step(before, now, hosts, columns, self.settings)
        self.state = state if manage else unasked(state)
        names = tuple(seen.info.name for seen in guests if seen.reading is not None)
        self.last = Step(
            Observation(now, wall, hosts, columns, names),
            Thought(before, self.state, plan, self.settings, manage),
        )
        return self.last


def unasked(state: State) -> State:
    """Return `state` without what the plan would have asked: an observer asks for nothing.

    Otherwise the engine would take guests that never moved for stuck.
    """
    never = np.full(len(state.keys), np.nan)
    return replace(
        state,
        asked=never,
        asked_time=never,
        granted=np.zeros(len(state.keys)),
        taking_held=never,
        gain_due=never,
    )
