"""What is written down of a campaign while it goes on. Pure."""

from dataclasses import dataclass, field

from aerostat.testing.trials.faults.schedule import Fault, Schedule


@dataclass(slots=True)
class Injury:
    """A fault as it was carried out. Monotonic seconds."""

    fault: Fault
    began: float = 0.0
    lifted: float = 0.0
    """When it was taken back, and mending began."""
    missed: str = ""
    """Why nothing could be done."""
    recovered: float | None = None
    """When all was well with whom it had befallen."""


@dataclass(slots=True)
class Found:
    """A promise that was broken, and in which round."""

    promise: str
    what: str
    faults: list[str]
    """The faults of that round, ..."""
    first: int
    """... and the number of the first of them."""
    count: int


@dataclass(slots=True)
class Record:
    """What came of a campaign. Seconds and bytes."""

    schedule: Schedule
    wanted: int
    injuries: list[Injury] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    took: float = 0.0
    rounds: int = 0
    interrupted: bool = False
    houses: int = 0
    """How often everything was built anew: after what did not recover."""
    restarts: int = 0
    """Guests that were started again."""
    checks: int = 0
    """How often a guest's memory was looked through, ..."""
    checked: int = 0
    """... how much that was in all, ..."""
    damaged: int = 0
    """... and how many pieces of it were not as they had been written."""
    oom_kills: int = 0
    ticks: int = 0
    """Of both managers, judged one by one."""
    moves: int = 0
    """With those that the witness only would have made."""
    slowest_tick: float = 0.0
    """Of the witness."""
    lag: float = 0.0
    """The longest for which this program itself did not get to run: how loaded the machine was."""
    most_descriptors: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By who has them: at first, and at most within the same life."""
    witness: list[tuple[float, int]] = field(default_factory=list)
    """What the witness weighs, over time."""
    settled: float | None = None
    """How long it took in the end until everything fitted the budget."""
    replay: str = ""

    @property
    def carried_out(self) -> list[Injury]:
        """The faults that could be carried out."""
        return [injury for injury in self.injuries if not injury.missed]
