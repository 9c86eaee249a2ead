"""What a view remembers: the newest snapshot, a minute of each guest's demand, the last moves.

Fed with snapshots; reads no clock.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from aerostat.daemon.snapshot import GuestRow, MoveRow, Snapshot
from aerostat.tui.bars import Spark

SPAN = 60.0  # seconds that a sparkline shows
# Bounds the memory of a view; 60 s of ten ticks a second.
_POINTS_LIMIT = 600
_MOVES_LIMIT = 50


@dataclass(frozen=True, slots=True)
class _Point:
    time: float
    spark: Spark


@dataclass(slots=True)
class ViewState:
    """Everything that `view.render` shows."""

    snapshot: Snapshot | None = None
    started: float = 0.0
    noun: str = "guest"
    """What a guest is called."""
    sort: str = "name"
    """The order of the guests, one of `aerostat.tui.states.SORTS`."""
    help: tuple[str, ...] = ()
    """Lines that are shown at the bottom."""
    moves: deque[MoveRow] = field(default_factory=lambda: deque(maxlen=_MOVES_LIMIT))
    points: dict[str, deque[_Point]] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        """Seconds from the first snapshot to the newest."""
        return self.snapshot.time - self.started if self.snapshot else 0.0

    def add(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Take in the next snapshot and the moves of its tick."""
        if self.snapshot is None:
            self.started = snapshot.time
        self.snapshot = snapshot
        self.moves.extend(moves)
        self.points = {guest.key: self._points(guest, snapshot.time) for guest in snapshot.guests}

    def _points(self, guest: GuestRow, now: float) -> deque[_Point]:
        """Return the guest's points of the last minute, with the newest."""
        points = self.points.get(guest.key)
        if points is None:
            points = deque(maxlen=_POINTS_LIMIT)
        wanted = guest.demand if guest.demand is not None else guest.held
        if wanted is not None and guest.max_size:
            points.append(_Point(now, Spark(wanted / guest.max_size, guest.pressure or 0.0)))
        while points and points[0].time <= now - SPAN:
            points.popleft()
        return points

    def sparks(self, key: str, width: int) -> list[Spark | None]:
        """Return the last minute of a guest in `width` columns, the newest last.

        Columns are fixed in time, so that the line scrolls and does not shimmer; a column shows
        the highest of its values.
        """
        columns: list[Spark | None] = [None] * width
        if self.snapshot is None or not width:
            return columns
        step = SPAN / width
        newest = int(self.snapshot.time // step)
        for point in self.points.get(key, ()):
            place = width - 1 - (newest - int(point.time // step))
            if 0 <= place < width:
                columns[place] = _higher(columns[place], point.spark)
        return _filled(columns)


def _higher(one: Spark | None, other: Spark) -> Spark:
    if one is None:
        return other
    return Spark(max(one.level, other.level), max(one.pressure, other.pressure))


def _filled(columns: list[Spark | None]) -> list[Spark | None]:
    """Return `columns` with single gaps (a tick is slower than a column is wide) filled."""
    filled = columns.copy()
    for place in range(1, len(columns) - 1):
        if columns[place] is None and columns[place + 1] is not None:
            filled[place] = columns[place - 1]
    return filled
