"""The engine inside the daemon: what was seen becomes columns, and the columns a plan. Pure.

Keeps what the engine has learned from one step to the next, and what another policy remembers,
where one is to say which sizes guests should have.
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
from aerostat.engine.policies.base import Policy
from aerostat.engine.policies.guarded import Consulted, consult
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.host.budget import HostReading

OURS = "aerostat"
"""The policy that is the engine's own."""


class Step(NamedTuple):
    """One step of the engine: what it was fed, and what it made of that. Never changed after."""

    observation: Observation
    thought: Thought

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.thought.plan


class Guide(NamedTuple):
    """A policy that says which sizes guests should have, and how it was asked for."""

    spec: str
    policy: Policy


class Thinker:
    """The engine, fed by the daemon. `state` is what it has learned.

    `guide` says which sizes guests should have, None for the engine itself; `problem` is how it
    failed at the last step, or "".
    """

    def __init__(self, settings: Settings, host_name: str, guide: Guide | None = None) -> None:
        self.settings = settings
        self.guide = guide
        self.problem = ""
        self._consulted = Consulted()
        self.state = State.empty()
        self.last: Step | None = None
        self._host_name = host_name

    @property
    def policy(self) -> str:
        """Return how the policy that is followed was asked for."""
        return OURS if self.guide is None else self.guide.spec

    @property
    def failures(self) -> int:
        """Return how often it failed."""
        return self._consulted.failures

    def follow(self, guide: Guide | None) -> None:
        """Go by another policy from the next step on; it begins with no memory."""
        if guide is not self.guide:
            self.guide, self.problem, self._consulted = guide, "", Consulted()

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
        """Step the engine. Whatever it raises is a fault of ours; its state is unchanged then.

        What somebody else's policy raises is none: the engine's own decides then.
        """
        hosts = host_columns(self._host_name, host, orders.reservations.total)
        columns = guest_columns(guests, promises, orders, now)
        before = self.state
        wishes = None
        if self.guide is not None:
            advice = consult(self.guide.policy, self._consulted, now, hosts, columns)
            self._consulted, wishes, self.problem = advice
        state, plan = step(before, now, hosts, columns, self.settings, wishes)
        self.state = state if manage else unasked(state)
        names = tuple(seen.info.name for seen in guests if seen.reading is not None)
        self.last = Step(
            Observation(now, wall, hosts, columns, names, wishes.size if wishes else None),
            Thought(before, self.state, plan, self.settings, manage, self.policy),
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
