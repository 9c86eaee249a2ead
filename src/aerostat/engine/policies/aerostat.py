"""The engine as a policy: the very `step` that the daemon runs."""

from dataclasses import dataclass, field
from typing import ClassVar

from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step


@dataclass(frozen=True, slots=True)
class Aerostat:
    """Demand and reserve of each guest, divided fairly, with promises: `aerostat.engine.step`."""

    name: ClassVar[str] = "aerostat"

    settings: Settings = field(default_factory=Settings)
    interval: float = 1.0

    def start(self) -> State:
        """Return the state of a manager that has seen nothing."""
        return State.empty()

    def step(self, memory: State, now: float, hosts: Hosts, guests: Guests) -> tuple[State, Plan]:
        """Return what is known after this observation, and what to do about it."""
        return step(memory, now, hosts, guests, self.settings)
