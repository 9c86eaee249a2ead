"""What has happened: moves, problems, events, and the sums of them. Tells the journal and the log.

Nothing in it grows without bound, and nothing waits.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence

from aerostat.daemon.clock import Clock
from aerostat.daemon.journal.file import Event
from aerostat.daemon.journal.writer import JournalLike
from aerostat.daemon.requests import ACCEPTED, Request
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.plan import Move

log = logging.getLogger(__name__)

# What the API can tell of the past without asking the journal.
_RECENT_MOVES = 1000
# A manager that only observes would move a guest every tick; it says so this often.
_OBSERVED_EVERY = 10.0

OBSERVED = "observed"


class Logbook:
    """The logbook of one manager. Sums are since its start; bytes."""

    def __init__(self, clock: Clock, journal: JournalLike) -> None:
        self.recent_moves: deque[MoveRow] = deque(maxlen=_RECENT_MOVES)
        self.last_moves: dict[str, MoveRow] = {}
        self.moves = self.failures = self.taken = self.given = 0
        self._clock = clock
        self._journal = journal
        self._fresh: list[MoveRow] = []
        self._problems: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    # Moves.

    def observed(self, move: Move, name: str, now: float, wall: float) -> None:
        """Note what would be done; the same again is said only now and then."""
        last = self.last_moves.get(move.key)
        same = last is not None and last.reason == move.reason.name.lower()
        if last is None or not same or now - last.time >= _OBSERVED_EVERY:
            self._remember(_row(move, name, now, wall, OBSERVED))

    def ended(self, request: Request) -> None:
        """Note what came of a request."""
        row = _row(request.move, request.name, request.sent, request.wall, request.outcome)
        last = self.last_moves.get(row.key)
        if row.outcome == ACCEPTED:
            self.moves += 1
        else:
            self.failures += 1
            if last is not None and (last.to_size, last.outcome) == (row.to_size, row.outcome):
                return  # the same failure again: counted, and said once
            log.warning("%s: %s: %s", row.key, row.sentence, row.outcome)
        self._remember(row)

    def take_fresh(self) -> Sequence[MoveRow]:
        """Return the moves that were noted since this was asked last."""
        moves, self._fresh = self._fresh, []
        return moves

    def sized(self, key: str, size: int) -> None:
        """Note that a guest has `size` bytes, and count what it gave or got."""
        change = size - self._sizes.get(key, size)
        self.given += max(change, 0)
        self.taken += max(-change, 0)
        self._sizes[key] = size

    def forget(self, present: Mapping[str, object]) -> None:
        """Forget guests that are gone."""
        for remembered in (self.last_moves, self._sizes):
            for key in remembered.keys() - present.keys():
                del remembered[key]

    # Problems and events.

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong now, in sentences."""
        return tuple(self._problems.values())

    def say(self, what: str, text: str) -> None:
        """Note that something is wrong with `what`; the same again is no news."""
        if self._problems.get(what) != text:
            log.warning("%s: %s", what, text)
            self.record("problem", f"{what}: {text}")
        self._problems[what] = text

    def solve(self, what: str) -> None:
        """Note that nothing is wrong with `what`."""
        self._problems.pop(what, None)

    def record(self, kind: str, text: str) -> None:
        """Note an event."""
        self._journal.note(Event(self._clock.monotonic(), self._clock.wall(), kind, text))

    def _remember(self, row: MoveRow) -> None:
        self.last_moves[row.key] = row
        self.recent_moves.append(row)
        self._fresh.append(row)
        self._journal.note(row)


def _row(move: Move, name: str, time: float, wall: float, outcome: str) -> MoveRow:
    return MoveRow(
        key=move.key,
        name=name,
        from_size=move.from_size,
        to_size=move.to_size,
        reason=move.reason.name.lower(),
        sentence=move.sentence,
        time=time,
        wall=wall,
        outcome=outcome,
    )
