"""The engine as a policy: the very `step` that the daemon runs."""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.policies.base import Knob, Knobs
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step


@dataclass(frozen=True, slots=True)
class Aerostat:
    """Demand and reserve of each guest, divided fairly, with promises: `aerostat.engine.step`."""

    name: ClassVar[str] = "aerostat"

    KNOBS: ClassVar[Knobs] = {
        "pool_share": Knob(0.005, 0.1, logarithmic=True),
        "reserve_share": Knob(0.01, 0.2, logarithmic=True),
        "reserve_least_part": Knob(0.0, 1.0),
        "reaction_time": Knob(1.0, 4.0),
        "growth_memory": Knob(60.0, 6000.0, logarithmic=True),
        "shrink_rate": Knob(0.02, 0.3, logarithmic=True),
    }
    """Fields of its settings: see `tuned`."""

    settings: Settings = field(default_factory=Settings)
    interval: float = 1.0

    @classmethod
    def tuned(cls, *, interval: float = 1.0, **knobs: float) -> Self:
        """Return the policy with some of its settings replaced. Raises TypeError for another."""
        settings = Settings(**knobs)  # type: ignore[arg-type] # all knobs are numbers
        return cls(settings=settings, interval=interval)

    def start(self) -> State:
        """Return the state of a manager that has seen nothing."""
        return State.empty()

    def step(self, memory: State, now: float, hosts: Hosts, guests: Guests) -> tuple[State, Plan]:
        """Return what is known after this observation, and what to do about it."""
        return step(memory, now, hosts, guests, self.settings)
