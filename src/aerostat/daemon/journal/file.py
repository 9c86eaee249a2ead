"""The journal's file: SQLite in WAL mode, one writer, any number of readers.

Its tables (`journal_schema`) hold what a replay needs to feed the very same observations to the
engine (`ticks`, `rosters`, `states`), what was done about them (`moves`), what else happened
(`events`), and the long view (`guest_minutes` and its like). Touches that one file. Everything
here may wait for the disk, so only the journal's thread calls it.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from aerostat.daemon.journal.recording import (
    Decided,
    Observation,
    pack_roster,
    pack_sample,
    pack_state,
    unpack,
)
from aerostat.daemon.journal.rollup import Rollup, Row
from aerostat.daemon.journal.schema import (
    MINUTE,
    OF_GUESTS,
    OF_HOSTS,
    QUARTER,
    SPANS,
    merging,
    prepare,
    rolled_table,
)
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.state import State
from aerostat.errors import UsageError

_INSERT_RUN = "INSERT INTO runs (monotonic, wall, about) VALUES (?, ?, ?)"
_INSERT_ROSTER = "INSERT INTO rosters (columns) VALUES (?)"
_INSERT_TICK = (
    "INSERT INTO ticks (run, roster, number, monotonic, wall, duration, columns)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_READ_TICKS = (
    "SELECT ticks.id, monotonic, wall, rosters.columns, ticks.columns FROM ticks"
    " JOIN rosters ON rosters.id = ticks.roster WHERE ticks.id > ? ORDER BY ticks.id LIMIT ?"
)
_INSERT_STATE = "INSERT INTO states (tick, why, columns) VALUES (?, ?, ?)"
_INSERT_MOVE = (
    "INSERT INTO moves (run, key, name, from_size, to_size, reason, sentence, monotonic, wall,"
    " outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EVENT = "INSERT INTO events (run, monotonic, wall, kind, text) VALUES (?, ?, ?, ?, ?)"
_NAME_GUEST = (
    "INSERT INTO guests (key, name, wall) VALUES (?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET name = excluded.name, wall = excluded.wall"
)
_ADD_GUEST = "INSERT INTO guests (key, name, wall) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

# What was written before something that is too old is too old itself, whatever the clock of the
# wall said then: so a clock that jumped leaves nothing behind for ever.
_OLD = "SELECT max(id) FROM {table} WHERE wall < ?"
# The newest row stays, so that numbers never begin anew.
_DELETE_SOME = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM {table}"
    " WHERE id <= ? AND id < (SELECT max(id) FROM {table}) ORDER BY id LIMIT ?)"
)
_DELETE_ROLLED = (
    "DELETE FROM {table} WHERE start IN"
    " (SELECT DISTINCT start FROM {table} WHERE start < ? ORDER BY start LIMIT 10)"
)
_REACH = "SELECT min({column}), max({column}) FROM {table}"
_DELETE_GUESTS = (
    "DELETE FROM guests WHERE wall < ?"
    " AND NOT EXISTS (SELECT 1 FROM guest_quarters WHERE guest = guests.id)"
)
_DELETE_LEFT_OVER = (
    "DELETE FROM rosters WHERE id < (SELECT min(roster) FROM ticks)",
    "DELETE FROM states WHERE tick < (SELECT min(id) FROM ticks)",
)

_EVERYTHING = (1 << 63) - 1  # SQLite's largest integer
_PORTION = 500
"""Rows that are deleted at a time, so that what waits to be written never waits for long."""
_READ_BACK = 100
"""Ticks that are read back and rolled up at a time."""
_PAGES_BACK = 256
"""Free pages that are given back to the disk at a time."""


class Sample(NamedTuple):
    """A tick as it is written: what it saw, how many seconds it took, what was decided.

    `number` counts the ticks of a manager, so that a gap is seen. `state` is the engine's before
    the tick, where it is to be kept, and `why` it is. `about` (JSON) is what ticks of a run share.
    """

    observation: Observation
    duration: float
    decided: Decided | None = None
    number: int | None = None
    about: str | None = None
    state: State | None = None
    why: str = ""


class Event(NamedTuple):
    """Something worth remembering that is no move: monotonic and wall seconds, kind, words."""

    time: float
    wall: float
    kind: str
    text: str


class Keep(NamedTuple):
    """For how many seconds what is kept, all of it within `size` bytes.

    `now` is wall seconds; None where the clock is not to be trusted, and nothing counts as old.
    """

    ticks: float
    minutes: float
    quarters: float
    size: int
    now: float | None

    def oldest(self, seconds: float) -> float:
        """Return the wall time before which it is too old."""
        return float("-inf") if self.now is None else self.now - seconds


class JournalFile:
    """An open journal. Every method may raise `sqlite3.Error`; after one, close it."""

    def __init__(self, file: sqlite3.Connection, about: str) -> None:
        self._file = file
        self._about = about
        self._run = 0
        self._roster = (b"", 0)
        self._named: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._ids: dict[str, int] = {}
        self._rollup = Rollup()
        self._rolled = int(file.execute("SELECT tick FROM rolled").fetchone()[0])
        """The last tick that the rolled-up tables know of."""
        self._added = self._rolled
        """The last tick that was rolled up, in the tables or not yet."""
        self._finished = self._rolled
        """The last tick of a minute that is finished."""
        if self._rolled:
            self._prime()

    @classmethod
    def open(cls, path: Path, about: str) -> Self:
        """Open the journal at `path`, making it where there is none, and new where it is old.

        Raises `UsageError` for a file that is another program's, or of a newer version.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # Autocommit: transactions begin where the code says so, DDL included.
        file = sqlite3.connect(path, timeout=1.0, check_same_thread=False, isolation_level=None)
        try:
            prepare(file, path)
            return cls(file, about)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Roll up the minute under way and close the file; whatever was committed is in it."""
        with contextlib.suppress(sqlite3.Error):
            if self._added > self._rolled:
                with self._transaction():
                    self._rollup.finish()
                    self._finished = self._added
                    self._merge()
        with contextlib.suppress(sqlite3.Error):
            self._file.close()

    def write(self, samples: Iterable[Sample], notes: Iterable[MoveRow | Event]) -> None:
        """Write all of it in one transaction."""
        with self._transaction():
            for sample in samples:
                self._write_sample(sample)
            for note in notes:
                self._follow_run(self._about, note.time, note.wall)
                if isinstance(note, Event):
                    self._insert(_INSERT_EVENT, self._run, *note)
                else:
                    self._write_move(note)
            self._merge()

    def catch_up(self) -> bool:
        """Roll up some ticks that are not yet, a killed manager's or an older journal's.

        Tell whether more are left.
        """
        with self._transaction():
            rows = self._read_back(self._added, _READ_BACK)
            for tick, *packed in rows:
                with contextlib.suppress(UsageError):  # one that is broken is left out
                    seen, decided = unpack(*packed)
                    self._name_guests(seen)
                    self._roll_up(tick, seen, decided)
                self._added = tick
            self._merge()
        return len(rows) == _READ_BACK

    def sweep(self, keep: Keep) -> bool:
        """Delete some of what need not be kept; tell whether more is left to delete.

        A file that an earlier version began does not shrink, but its free pages are used again.
        """
        with self._transaction():
            deleted = self._delete_old(keep)
            if self.used() > keep.size:
                deleted += self._delete_first(keep)
            for statement in _DELETE_LEFT_OVER:
                self._file.execute(statement)
            oldest = keep.oldest(keep.quarters)
            if self._file.execute(_DELETE_GUESTS, (oldest,)).rowcount > 0:
                self._ids.clear()
                self._named = ((), ())
        self._file.execute(f"PRAGMA incremental_vacuum({_PAGES_BACK})").fetchall()
        return deleted > 0

    def used(self) -> int:
        """Return the bytes of the file that hold something."""
        pages, free, size = (
            int(self._file.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        with self._file:  # commits, or rolls back
            yield

    def _read_back(self, after: int, count: int) -> list[Any]:
        return self._file.execute(_READ_TICKS, (after, count)).fetchall()

    def _prime(self) -> None:
        """Have counters go on from the last tick that is in the tables."""
        for _, *packed in self._read_back(self._rolled - 1, 1):
            with contextlib.suppress(UsageError):
                self._rollup.prime(unpack(*packed)[0])

    def _insert(self, statement: str, *values: object) -> int:
        return int(self._file.execute(statement, values).lastrowid or 0)

    def _follow_run(self, about: str, monotonic: float, wall: float) -> None:
        """Begin a run where there is none yet, or what its ticks share has changed."""
        if not self._run or about != self._about:
            self._about = about
            self._run = self._insert(_INSERT_RUN, monotonic, wall, about)

    def _write_sample(self, sample: Sample) -> None:
        seen = sample.observation
        self._follow_run(sample.about or self._about, seen.time, seen.wall)
        roster = pack_roster(seen)
        if roster != self._roster[0]:
            self._roster = (roster, self._insert(_INSERT_ROSTER, roster))
        self._name_guests(seen)
        columns = pack_sample(seen, sample.decided)
        times = (seen.time, seen.wall, sample.duration)
        tick = self._insert(
            _INSERT_TICK, self._run, self._roster[1], sample.number, *times, columns
        )
        if sample.state is not None:
            self._insert(_INSERT_STATE, tick, sample.why, pack_state(sample.state))
        if tick == self._added + 1:  # else `catch_up` has to go over others before this one
            self._roll_up(tick, seen, sample.decided)

    def _roll_up(self, tick: int, seen: Observation, decided: Decided | None) -> None:
        if self._rollup.add(seen, decided):
            self._finished = self._added
        self._added = tick

    def _write_move(self, move: MoveRow) -> None:
        sizes = (move.from_size, move.to_size)
        why = (move.reason, move.sentence)
        times = (move.time, move.wall)
        self._insert(
            _INSERT_MOVE, self._run, move.key, move.name, *sizes, *why, *times, move.outcome
        )

    def _name_guests(self, seen: Observation) -> None:
        """Keep the guests' names, which rolled-up rows go by, when they are new or changed."""
        if (seen.guests.keys, seen.names) == self._named:
            return
        names = seen.names or seen.guests.keys
        rows = zip(seen.guests.keys, names, [seen.wall] * len(names), strict=True)
        self._file.executemany(_NAME_GUEST if seen.names else _ADD_GUEST, rows)
        self._named = (seen.guests.keys, seen.names)

    def _merge(self) -> None:
        """Write the minutes that are finished, and note how far that is.

        What of the minute under way was added is not in the tables, and is read again after a kill.
        """
        guest_rows, host_rows = self._rollup.take()
        if not guest_rows and not host_rows:
            return
        by_id = [(self._guest_id(str(row[0])), *row[1:]) for row in guest_rows]
        for span in SPANS:
            self._file.executemany(merging(OF_GUESTS, span), _within(span, by_id))
            self._file.executemany(merging(OF_HOSTS, span), _within(span, host_rows))
        self._rolled = self._finished
        self._file.execute("UPDATE rolled SET tick = ?", (self._rolled,))

    def _guest_id(self, key: str) -> int:
        if key not in self._ids:
            self._insert(_ADD_GUEST, key, key, 0.0)  # no effect on one that is there
            found = self._file.execute("SELECT id FROM guests WHERE key = ?", (key,)).fetchone()
            self._ids[key] = int(found[0])
        return self._ids[key]

    def _delete_old(self, keep: Keep) -> int:
        old = self._old("ticks", keep.oldest(keep.ticks))
        deleted = self._delete("ticks", min(old, self._rolled))
        for table in ("moves", "events"):
            deleted += self._delete(table, self._old(table, keep.oldest(keep.quarters)))
        deleted += self._delete_rolled(MINUTE, keep.oldest(keep.minutes))
        return deleted + self._delete_rolled(QUARTER, keep.oldest(keep.quarters))

    def _delete_first(self, keep: Keep) -> int:
        """Delete some of the oldest of what reaches back furthest, for what was wished of it.

        So each kind keeps its part of the room: many guests' minutes do not push out all ticks.
        """
        kinds: list[tuple[float, Callable[[], int]]] = [
            (self._reach("ticks", "wall", keep.ticks), lambda: self._delete("ticks", _EVERYTHING)),
            (
                self._reach("host_minutes", "start", keep.minutes),
                lambda: self._delete_rolled(MINUTE, _EVERYTHING),
            ),
            (
                self._reach("host_quarters", "start", keep.quarters),
                lambda: self._delete_rolled(QUARTER, _EVERYTHING),
            ),
            (-2.0, lambda: self._delete("events", _EVERYTHING)),
            (-3.0, lambda: self._delete("moves", _EVERYTHING)),
        ]
        deleted = 0
        for _, delete in sorted(kinds, key=lambda kind: kind[0], reverse=True):
            deleted = deleted or delete()
        return deleted

    def _reach(self, table: str, column: str, wished: float) -> float:
        """Return how far back a table reaches, as a part of what was wished; -1 for not at all."""
        low, high = self._file.execute(_REACH.format(table=table, column=column)).fetchone()
        return -1.0 if low is None else float(high - low) / max(wished, 1.0)

    def _old(self, table: str, oldest: float) -> int:
        return int(self._file.execute(_OLD.format(table=table), (oldest,)).fetchone()[0] or 0)

    def _delete(self, table: str, last: int) -> int:
        return self._file.execute(_DELETE_SOME.format(table=table), (last, _PORTION)).rowcount

    def _delete_rolled(self, span: float, oldest: float) -> int:
        tables = (rolled_table(figures, span) for figures in (OF_GUESTS, OF_HOSTS))
        statements = (_DELETE_ROLLED.format(table=table) for table in tables)
        return sum(self._file.execute(each, (oldest,)).rowcount for each in statements)


def _within(span: float, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows as parts of longer ones, of `span` seconds."""
    for who, start, *rest in rows:
        yield (who, float(start or 0.0) // span * span, *rest)
