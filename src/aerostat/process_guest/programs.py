"""The programs of a process guest: what they want of its memory, and what came of it.

Pure: how much time passes is told. One of them plays a workload, another holds what it is told
to; which pages they look at, and what they find there, is the kernel's business (`kernel`).
"""

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import UsageError
from aerostat.model.demand import Demand
from aerostat.model.workload import Step, Workload
from aerostat.units import MIB

# Programs look at all that they hold in this many seconds, but at most at so many bytes a second:
# looking is most of what a guest costs the host.
_ROUND = 2.0
_LOOK_RATE = 40 * MIB
# What of the files of programs is in constant use.
_MAPPED = 10 * MIB
# After a stall nobody makes up for more than this many seconds of growth or reading.
_BACKLOG = 0.5

_COUNTS = ("grown", "read", "checked", "damaged")


#: The program that plays a workload.
PLAYER = "workload"


class Programs:
    """All programs of one guest, by name.

    Their kernel may kill them for want of memory: whoever asks such a one for something gets a
    `UsageError`, until `end` makes room for a new one.
    """

    def __init__(self) -> None:
        self._killed: set[str] = set()
        self._held: dict[str, int] = {}
        self._workload: Workload | None = None
        self._begin(0.0)

    def _begin(self, since: float) -> None:
        self._seconds = since
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._stalled = self._slowest = self._stall = 0.0
        # What is due and not a whole page yet.
        self._owed = dict.fromkeys(("growth", "read", "touched"), 0.0)

    def play(self, workload: Workload, since: float = 0.0) -> None:
        """Play a workload from its second `since` on."""
        self._check(PLAYER)
        self._workload = workload
        self._begin(since)

    def hold(self, name: str, size: int) -> None:
        """Have program `name` hold `size` bytes."""
        self._check(name)
        self._held[name] = size

    def end(self, name: str) -> None:
        """End a program, if it is there."""
        self._killed.discard(name)
        self._held.pop(name, None)
        if name == PLAYER:
            self._workload = None

    def kill(self) -> None:
        """End all programs as the OOM killer does."""
        killed = {*self._held, *([PLAYER] if self._workload is not None else [])}
        for name in killed:
            self.end(name)
        self._killed |= killed

    def report(self) -> dict[str, object]:
        """Return what came of the workload so far; bytes and seconds.

        `stalled` is the time for which it waited for memory, `slowest` the longest without a
        pause, `damaged` counts pages that were not as they had been written.
        """
        self._check(PLAYER)
        if self._workload is None:
            raise UsageError("no workload is played")
        return {
            "name": self._workload.name,
            "seconds_played": self._seconds,
            "wanted": self._wanted.hold,
            "stalled": self._stalled,
            "slowest": self._slowest,
            **self._counts,
        }

    def demand(self, dt: float) -> Demand:
        """Return what is wanted in the next `dt` seconds."""
        hold, growth, read, span = sum(self._held.values()), 2.0**62, 0.0, 0
        if self._workload is not None:
            step = self._wanted
            hold += step.hold
            growth = self._due("growth", self._workload.grow_rate, dt)
            read, span = self._due("read", step.read_rate, dt), step.read_span
        return Demand.of(
            1,
            hold=hold,
            growth=growth,
            touched=self._due("touched", min(_LOOK_RATE, hold / _ROUND), dt),
            mapped=_MAPPED,
            read=read,
            read_span=span,
        )

    def advance(self, dt: float, *, stalled: float, **counts: int) -> None:
        """Let `dt` seconds have passed, of which they waited `stalled`; add to the `counts`."""
        self._seconds += dt
        self._stalled += stalled
        # A stall goes on for as long as there is no time to work in.
        self._stall = self._stall + stalled if stalled >= dt else stalled
        self._slowest = max(self._slowest, self._stall)
        for name, count in counts.items():
            self._counts[name] += count

    @property
    def _wanted(self) -> Step:
        assert self._workload is not None
        return self._workload.wanted(self._seconds)

    def _due(self, what: str, rate: float, dt: float) -> float:
        """Return the whole pages due at `rate`, and remember the rest."""
        owed = self._owed[what] + rate * min(dt, _BACKLOG)
        due = owed // PAGE_SIZE * PAGE_SIZE
        self._owed[what] = owed - due
        return due

    def _check(self, name: str) -> None:
        if name in self._killed:
            raise UsageError(f"worker {name} was killed by SIGKILL")
