"""The journal's file: SQLite in WAL mode, one writer, any number of readers.

Its tables hold what a replay needs to feed the very same observations to the engine (`ticks`,
`rosters`), what was done about them (`moves`) and what else happened (`events`). Touches that
one file. Everything here may wait for the disk, so only the journal's thread calls it.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from aerostat.daemon.recording import Observation, pack_roster, pack_sample, unpack
from aerostat.daemon.snapshot import MoveRow
from aerostat.errors import UsageError

VERSION = 1
_APPLICATION = 0x61657273  # "aers": tells our files from others' (SQLite's application_id)

_SCHEMA = f"""
BEGIN;
CREATE TABLE runs (id INTEGER PRIMARY KEY, monotonic REAL, wall REAL, about TEXT);
CREATE TABLE rosters (id INTEGER PRIMARY KEY, columns BLOB);
CREATE TABLE ticks (id INTEGER PRIMARY KEY, run INTEGER, roster INTEGER, monotonic REAL,
                    wall REAL, duration REAL, columns BLOB);
CREATE TABLE moves (id INTEGER PRIMARY KEY, run INTEGER, key TEXT, name TEXT, from_size INTEGER,
                    to_size INTEGER, reason TEXT, sentence TEXT, monotonic REAL, wall REAL,
                    outcome TEXT);
CREATE TABLE events (id INTEGER PRIMARY KEY, run INTEGER, monotonic REAL, wall REAL, kind TEXT,
                     text TEXT);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""
_INSERT_RUN = "INSERT INTO runs (monotonic, wall, about) VALUES (?, ?, ?)"
_INSERT_ROSTER = "INSERT INTO rosters (columns) VALUES (?)"
_INSERT_TICK = (
    "INSERT INTO ticks (run, roster, monotonic, wall, duration, columns) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_MOVE = (
    "INSERT INTO moves (run, key, name, from_size, to_size, reason, sentence, monotonic, wall,"
    " outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EVENT = "INSERT INTO events (run, monotonic, wall, kind, text) VALUES (?, ?, ?, ?, ?)"

_DELETE_OLD = (
    "DELETE FROM ticks WHERE wall < ?",
    "DELETE FROM moves WHERE wall < ?",
    "DELETE FROM events WHERE wall < ?",
)
# An eighth at a time: ticks first, for they are many and the least missed.
_DELETE_SOME = (
    "DELETE FROM ticks WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 8 FROM ticks)",
    "DELETE FROM moves WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 8 FROM moves)",
    "DELETE FROM events WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 8 FROM events)",
)
_DELETE_ROSTERS = "DELETE FROM rosters WHERE id < (SELECT min(roster) FROM ticks)"


class Sample(NamedTuple):
    """What a tick saw, and how many seconds it took."""

    observation: Observation
    duration: float


class Event(NamedTuple):
    """Something worth remembering that is no move: monotonic and wall seconds, kind, words."""

    time: float
    wall: float
    kind: str
    text: str


class JournalFile:
    """An open journal. Every method may raise `sqlite3.Error`; after one, close it."""

    def __init__(self, file: sqlite3.Connection, about: str) -> None:
        self._file = file
        self._about = about
        self._run = 0
        self._roster = (b"", 0)

    @classmethod
    def open(cls, path: Path, about: str) -> Self:
        """Open the journal at `path`, making it where there is none.

        Raises `UsageError` for a file that is another program's, or another version's.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
        try:
            _prepare(file, path)
        except BaseException:
            file.close()
            raise
        return cls(file, about)

    def close(self) -> None:
        """Close the file; whatever was committed is in it."""
        with contextlib.suppress(sqlite3.Error):
            self._file.close()

    def write(self, samples: Iterable[Sample], notes: Iterable[MoveRow | Event]) -> None:
        """Write all of it in one transaction."""
        with self._file:
            if not self._run:
                times = (time.monotonic(), time.time())
                self._run = self._insert(_INSERT_RUN, *times, self._about)
            for sample in samples:
                self._write_sample(sample)
            for note in notes:
                if isinstance(note, Event):
                    self._insert(_INSERT_EVENT, self._run, *note)
                else:
                    self._write_move(note)

    def sweep(self, oldest: float, keep_size: int) -> None:
        """Delete what is older than the wall time `oldest`, then the oldest above `keep_size`.

        The file does not shrink, but its free pages are used again.
        """
        with self._file as file:
            for statement in _DELETE_OLD:
                file.execute(statement, (oldest,))
            for statement in _DELETE_SOME:
                while self.used() > keep_size and file.execute(statement).rowcount > 0:
                    file.execute(_DELETE_ROSTERS)
            file.execute(_DELETE_ROSTERS)

    def used(self) -> int:
        """Return the bytes of the file that hold something."""
        pages, free, size = (
            int(self._file.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _insert(self, statement: str, *values: object) -> int:
        return int(self._file.execute(statement, values).lastrowid or 0)

    def _write_sample(self, sample: Sample) -> None:
        seen = sample.observation
        roster = pack_roster(seen.hosts, seen.guests)
        if roster != self._roster[0]:
            self._roster = (roster, self._insert(_INSERT_ROSTER, roster))
        columns = pack_sample(seen.hosts, seen.guests)
        times = (seen.time, seen.wall, sample.duration)
        self._insert(_INSERT_TICK, self._run, self._roster[1], *times, columns)

    def _write_move(self, move: MoveRow) -> None:
        sizes = (move.from_size, move.to_size)
        why = (move.reason, move.sentence)
        times = (move.time, move.wall)
        self._insert(
            _INSERT_MOVE, self._run, move.key, move.name, *sizes, *why, *times, move.outcome
        )


def observations(path: Path) -> Iterator[Observation]:
    """Yield what every recorded tick was fed, oldest first."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as file:
        rows = file.execute(
            "SELECT monotonic, wall, rosters.columns, ticks.columns FROM ticks"
            " JOIN rosters ON rosters.id = ticks.roster ORDER BY ticks.id"
        )
        for monotonic, wall, roster, sample in rows:
            yield Observation(monotonic, wall, *unpack(roster, sample))


def _prepare(file: sqlite3.Connection, path: Path) -> None:
    version = file.execute("PRAGMA user_version").fetchone()[0]
    owner = file.execute("PRAGMA application_id").fetchone()[0]
    tables = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and (owner, version) != (_APPLICATION, VERSION):
        raise UsageError(f"{path} is not a journal of this version of aerostat")
    # WAL: readers never hold up the writer; NORMAL: a power cut may cost the last transactions
    # and never the file (sqlite.org/wal.html).
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        file.executescript(_SCHEMA)
