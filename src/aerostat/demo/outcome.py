"""What came of a trial, as figures; and how they are gathered from the manager's snapshots. Pure.

Sizes are bytes, times seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aerostat.daemon.snapshot import MoveRow, Snapshot


@dataclass(frozen=True, slots=True)
class GuestOutcome:
    """What became of one guest; None where it could not be asked.

    `least_size` is the least RAM that its balloon left to it, `peak_held` the most that it held on
    the host, `damaged` how many chunks of its memory were not as its workload had filled them.
    """

    name: str
    size: int
    died: str | None
    oom_kills: int | None
    damaged: int
    worked: int
    stall_seconds: float
    restarts: int
    samples: int
    least_size: int | None
    peak_held: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one trial.

    `taken` and `given` are the sums of what balloons really moved; `peak_held` is the most that
    all guests held at one moment; `exposure` is by how much permissions exceed the budget at the
    end. `kind` says what guests were.
    """

    name: str
    title: str
    kind: str
    seconds: float
    budget: int
    taken: int
    given: int
    moves: int
    peak_held: int
    exposure: int
    rows: tuple[GuestOutcome, ...]

    @property
    def memory(self) -> int:
        """Return the sum of the guests' sizes."""
        return sum(row.size for row in self.rows)

    @property
    def oom_kills(self) -> int:
        """Return how many processes the guests' kernels killed for want of memory."""
        return sum(row.oom_kills or 0 for row in self.rows)

    @property
    def guest_deaths(self) -> int:
        """Return how many guests ended before they were told to."""
        return sum(row.died is not None for row in self.rows)

    @property
    def silent(self) -> int:
        """Return how many guests live and could not be asked at the end."""
        return sum(row.oom_kills is None and row.died is None for row in self.rows)

    @property
    def damaged(self) -> int:
        """Return how often a chunk of memory was found changed."""
        return sum(row.damaged for row in self.rows)

    @property
    def samples(self) -> int:
        """Return how many times statistics came."""
        return sum(row.samples for row in self.rows)

    @property
    def stall_seconds(self) -> float:
        """Return for how long taking memory kept workloads waiting, all together."""
        return sum(row.stall_seconds for row in self.rows)

    @property
    def restarts(self) -> int:
        """Return how often a workload was killed and had to begin anew."""
        return sum(row.restarts for row in self.rows)

    @property
    def worked(self) -> int:
        """Return the bytes that all workloads looked through."""
        return sum(row.worked for row in self.rows)

    @property
    def unharmed(self) -> bool:
        """Say whether nobody died, nothing was killed, and no memory was damaged."""
        return not (self.oom_kills or self.guest_deaths or self.damaged)

    def to_json(self) -> dict[str, Any]:
        """Return plain values ready for a JSON encoder."""
        return {
            "guests": len(self.rows),
            "kind": self.kind,
            "seconds": round(self.seconds, 3),
            "memory_bytes": self.memory,
            "budget_bytes": self.budget,
            "taken_bytes": self.taken,
            "given_bytes": self.given,
            "peak_held_bytes": self.peak_held,
            "exposure_bytes": self.exposure,
            "moves": self.moves,
            "samples": self.samples,
            "oom_kills": self.oom_kills,
            "guest_deaths": self.guest_deaths,
            "damaged_chunks": self.damaged,
            "worked_bytes": self.worked,
            "stall_seconds": round(self.stall_seconds, 3),
            "restarts": self.restarts,
            "rows": [_row(row) for row in self.rows],
        }


def _row(row: GuestOutcome) -> dict[str, Any]:
    return {
        "name": row.name,
        "size_bytes": row.size,
        "died": row.died,
        "oom_kills": row.oom_kills,
        "damaged_chunks": row.damaged,
        "worked_bytes": row.worked,
        "stall_seconds": round(row.stall_seconds, 3),
        "restarts": row.restarts,
        "samples": row.samples,
        "least_size_bytes": row.least_size,
        "peak_held_bytes": row.peak_held,
    }


@dataclass(slots=True)
class GuestFigures:
    """What the snapshots have told of one guest."""

    samples: int = 0
    least_size: int | None = None
    peak_held: int | None = None
    sampled_at: float = field(default=float("-inf"))


# Times of one sample differ by rounding, when they are told as ages.
_SAME_SAMPLE = 0.001


class Tally:
    """Gathers figures from the snapshots of one trial."""

    def __init__(self) -> None:
        self.guests: dict[str, GuestFigures] = {}
        self.peak_held = 0
        self.last: Snapshot | None = None

    def add(self, snapshot: Snapshot, _moves: Sequence[MoveRow] = ()) -> None:
        """Take in the next snapshot."""
        self.last = snapshot
        self.peak_held = max(self.peak_held, sum(row.held or 0 for row in snapshot.guests))
        for row in snapshot.guests:
            figures = self.of(row.name)
            if row.sample_age is not None:
                sampled_at = snapshot.time - row.sample_age
                figures.samples += sampled_at > figures.sampled_at + _SAME_SAMPLE
                figures.sampled_at = max(figures.sampled_at, sampled_at)
            if row.guest_size is not None:
                least = row.guest_size if figures.least_size is None else figures.least_size
                figures.least_size = min(row.guest_size, least)
            if row.held is not None:
                figures.peak_held = max(row.held, figures.peak_held or 0)

    def of(self, name: str) -> GuestFigures:
        """Return the figures of a guest."""
        return self.guests.setdefault(name, GuestFigures())
