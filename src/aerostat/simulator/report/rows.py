"""What a report is made of: rows of results, what was recorded of houses, what was asked. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum

from aerostat.engine.observation import FloatArray


class Part(StrEnum):
    """Why a row was simulated."""

    DENSITY = "density"
    """The most guests that the policy holds without harm: what the search found."""
    SEARCH = "search"
    """A number of guests that was tried on the way there."""
    EQUAL = "equal"
    """The number of guests that the best rival holds; for all policies."""
    GIVEN = "given"
    """The number of guests that was asked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, a family and a number of guests: what came of it, over all seeds.

    Sizes are bytes and means over time of a whole house; slowdowns are shares of wanted work;
    what is counted is the sum over all guests of all seeds, who were there for `guest_hours`.
    """

    part: Part
    family: str
    policy: str
    dialect: str
    guests: int
    seeds: tuple[int, ...]
    seconds: float
    loss: float
    """Share of samples that did not come."""
    delay: float
    """Age of a sample when the policy sees it, seconds."""
    budget: float
    guest_hours: float
    p99_slowdown: float
    mean_slowdown: float
    oom_kills: float
    host_oom_kills: float
    major_faults: float
    alloc_stalls: float
    block_reads: float
    moves: float
    mean_size: float
    mean_held: float

    @property
    def kills(self) -> float:
        """All kills for want of memory, by guests' kernels and by the host's."""
        return self.oom_kills + self.host_oom_kills

    def per_hour(self, count: float) -> float:
        """Return a count for each guest and hour."""
        return count / self.guest_hours if self.guest_hours else 0.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """One house over time: arrays of moments by guests, bytes; `slowdown` are shares.

    NaN where a guest is not there.
    """

    family: str
    policy: str
    seed: int
    budget: float
    times: FloatArray
    size: FloatArray
    held: FloatArray
    balloon: FloatArray
    slowdown: FloatArray


@dataclass(frozen=True, slots=True)
class Study:
    """All that was run: what was asked, its rows, its recorded houses."""

    command: str
    """The command line that does it again."""
    version: str
    scenario: str
    rows: tuple[Row, ...]
    houses: tuple[Recorded, ...] = ()
    notes: tuple[str, ...] = ()
    """What the reader should know: what was left out, and why."""
    words: dict[str, str] = field(default_factory=dict)
    """What each family is, in a sentence."""
