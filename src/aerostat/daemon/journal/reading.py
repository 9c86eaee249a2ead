"""Reading a journal, of a running manager or of one long gone.

Opens the file read-only and reads it in short portions: a reader that held one long view of it
would keep the writer's log from being cleared. Older versions are read as they are. Touches that
one file.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import msgspec

from aerostat.daemon.journal.file import Event
from aerostat.daemon.journal.recording import Decided, Observation, unpack, unpack_state
from aerostat.daemon.journal.schema import version_of
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.errors import MissingError, UsageError

_PORTION = 100
_TICKS = (
    "SELECT ticks.id, run, {number}, monotonic, wall, duration, rosters.columns, ticks.columns"
    " FROM ticks JOIN rosters ON rosters.id = ticks.roster"
    " WHERE ticks.id > ? AND ticks.id <= ? ORDER BY ticks.id LIMIT ?"
)
_MOVES = (
    "SELECT id, key, name, from_size, to_size, reason, sentence, monotonic, wall, outcome"
    " FROM moves WHERE id > ? AND wall >= ? AND wall <= ? AND (?4 IS NULL OR key = ?4)"
    " ORDER BY id LIMIT ?5"
)
_EVENTS = (
    "SELECT id, monotonic, wall, kind, text FROM events"
    " WHERE id > ? AND wall >= ? AND wall <= ? ORDER BY id LIMIT ?"
)

# SQLite keeps whatever it was given, of whatever type. A journal that was damaged, or written to
# by others, has anything anywhere: so each row is held to what its query is to return.
_Seconds = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Wall = Annotated[float, msgspec.Meta(ge=0, le=253_402_128_000.0)]
"""Wall seconds that a calendar has: to the last day but one of the year 9999."""
_RunRow = tuple[int, _Seconds, Wall, str]
_TickRow = tuple[int, int, int | None, _Seconds, Wall, _Seconds, bytes, bytes]
_MoveRow = tuple[int, str, str, int, int, str, str, _Seconds, Wall, str]
_EventRow = tuple[int, _Seconds, Wall, str, str]
_StateRow = tuple[int, str, bytes]

NEVER = float("-inf")
FOREVER = float("inf")


class Run(NamedTuple):
    """What the ticks of a run share; the settings are those that the engine had."""

    id: int
    time: float
    wall: float
    version: str
    manage: bool
    settings: Settings
    unlike: tuple[str, ...]
    """Settings that only one of the recorder's engine and this one knows."""
    policy: str = "aerostat"
    """What the policy was called."""


class Tick(NamedTuple):
    """One step of the engine as it was recorded.

    `number` counts a manager's ticks, None where that was not written. `state` is the engine's
    before it, where it was kept; `why` it was: ``begin``, ``changed`` or ``due``.
    """

    id: int
    run: int
    number: int | None
    observation: Observation
    duration: float
    decided: Decided | None
    state: State | None
    why: str


class JournalReader:
    """A journal open for reading; use it in a ``with`` block.

    `since` and `until` are wall seconds everywhere. Raises `UsageError` for what is no journal,
    `MissingError` where there is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise MissingError(f"there is no journal {path}")
        self._file = _open(path)
        try:
            self.version = version_of(self._file, path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._file.close()
            raise UsageError(f"{path} is not a journal of aerostat: {error}") from error
        except UsageError:
            self._file.close()
            raise
        if not self.version:
            self._file.close()
            raise UsageError(f"{path} is empty")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def runs(self) -> dict[int, Run]:
        """Return the runs by their numbers."""
        rows = self.rows(_RunRow, "SELECT id, monotonic, wall, about FROM runs ORDER BY id")
        return {row[0]: _run(*row) for row in rows}

    def span(self) -> tuple[float, float] | None:
        """Return the wall times of the first and the newest tick; None where there are none."""
        first = self.rows(tuple[Wall], "SELECT wall FROM ticks ORDER BY id LIMIT 1")
        last = self.rows(tuple[Wall], "SELECT wall FROM ticks ORDER BY id DESC LIMIT 1")
        return (first[0][0], last[0][0]) if first else None

    def guests(self) -> dict[str, str]:
        """Return the names of all guests that are remembered, by their keys."""
        names = dict(self.rows(tuple[str, str], "SELECT DISTINCT key, name FROM moves"))
        if self.version > 1:
            # An earlier version's guests have no name there but their key.
            named = self.rows(tuple[str, str], "SELECT key, name FROM guests")
            names |= {key: name for key, name in named if name != key or key not in names}
        return names

    def find(self, name: str) -> tuple[str, ...]:
        """Return the keys that `name` means: the one with this key, else all of this name."""
        names = self.guests()
        return (name,) if name in names else tuple(key for key in names if names[key] == name)

    def bounds(self, since: float = NEVER, until: float = FOREVER) -> tuple[int, int]:
        """Return the numbers of the first and the last tick of a time; (0, -1) for none."""
        query = "SELECT min(id), max(id) FROM ticks WHERE wall >= ? AND wall <= ?"
        first, last = self.rows(tuple[int | None, int | None], query, since, until)[0]
        return (0, -1) if first is None or last is None else (first, last)

    def ticks(self, first: int = 0, last: int | None = None) -> Iterator[Tick]:
        """Yield the ticks of these numbers, the oldest first; without `last`, to the newest now."""
        if last is None:
            last = self.bounds()[1]
        number = "number" if self.version > 1 else "NULL"
        query = _TICKS.format(number=number)
        for rows in self._portions(_TickRow, query, first - 1, last):
            states = self._states(rows[0][0], rows[-1][0])
            for tick, run, count, monotonic, wall, duration, roster, columns in rows:
                seen, decided = unpack(monotonic, wall, roster, columns)
                why, state = states.get(tick, ("", None))
                yield Tick(tick, run, count, seen, duration, decided, state, why)

    def observations(self, since: float = NEVER, until: float = FOREVER) -> Iterator[Observation]:
        """Yield what every recorded tick was fed, the oldest first."""
        for tick in self.ticks(*self.bounds(since, until)):
            yield tick.observation

    def state_before(self, tick: int) -> int | None:
        """Return the newest tick up to `tick` whose state was kept, None where there is none."""
        if self.version == 1:
            return None
        query = (
            "SELECT max(tick) FROM states WHERE tick <= ? AND tick >= (SELECT min(id) FROM ticks)"
        )
        newest: int | None = self.rows(tuple[int | None], query, tick)[0][0]
        return newest

    def moves(
        self, key: str | None = None, since: float = NEVER, until: float = FOREVER
    ) -> Iterator[MoveRow]:
        """Yield the moves of one guest, or of all, the oldest first."""
        for rows in self._portions(_MoveRow, _MOVES, 0, since, until, key):
            for row in rows:
                yield MoveRow(*row[1:])

    def events(self, since: float = NEVER, until: float = FOREVER) -> Iterator[Event]:
        """Yield the events, the oldest first."""
        for rows in self._portions(_EventRow, _EVENTS, 0, since, until):
            for row in rows:
                yield Event(*row[1:])

    def rolled(self) -> int:
        """Return the last tick that the rolled-up tables know of; 0 where there are none."""
        if self.version == 1:
            return 0
        rolled: int = self.rows(tuple[int], "SELECT max(tick) FROM rolled")[0][0]
        return rolled

    def rows(self, kind: Any, query: str, *values: object) -> list[Any]:
        """Return all rows of a query, each of which is a `kind`, the type of a tuple.

        Raises `UsageError` for a broken file.
        """
        try:
            found = self._file.execute(query, values).fetchall()
            rows: list[Any] = msgspec.convert(found, list[kind])
        except (sqlite3.DatabaseError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{self.path} cannot be read: {clean_text(error)}") from error
        return rows

    def _portions(self, kind: Any, query: str, after: int, *values: object) -> Iterator[list[Any]]:
        """Yield the rows whose number, their first column, is beyond `after`, some at a time.

        In a damaged file they need not come in their order, and asking for what is beyond the last
        one would have no end: that is a `UsageError`, too.
        """
        while rows := self.rows(kind, query, after, *values, _PORTION):
            for row in rows:
                if row[0] <= after:
                    raise UsageError(f"{self.path} cannot be read: its rows are in disorder")
                after = row[0]
            yield rows

    def _states(self, first: int, last: int) -> dict[int, tuple[str, State]]:
        if self.version == 1:
            return {}
        query = "SELECT tick, why, columns FROM states WHERE tick >= ? AND tick <= ?"
        rows = self.rows(_StateRow, query, first, last)
        return {tick: (why, unpack_state(columns)) for tick, why, columns in rows}


def _open(path: Path) -> sqlite3.Connection:
    """Open a file read-only, also one on a medium where nothing can be written.

    A reader of a file in WAL mode writes beside it. Where it may not, and nobody else does, the
    file can be taken as one that does not change.
    """
    uri = path.absolute().as_uri()
    file = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5.0)
    try:
        file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        file.close()
        if path.with_name(path.name + "-wal").exists():
            raise PermissionError(
                13, "needs write access beside it to be read", str(path)
            ) from None
        file = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        pass  # it is no database; the first real question says so
    return file


def _run(number: int, monotonic: float, wall: float, about: str) -> Run:
    try:
        values: dict[str, Any] = msgspec.json.decode(about)
        recorded: dict[str, Any] = values.get("settings", {})
        settings = msgspec.convert(recorded, Settings)
    except (msgspec.MsgspecError, AttributeError) as error:
        raise UsageError(f"run {number}: settings that cannot be read: {error}") from error
    known = set(Settings.__dataclass_fields__)
    return Run(
        id=number,
        time=monotonic,
        wall=wall,
        version=str(values.get("version", "0.1.0")),
        manage=values.get("mode", "manage") != "observe",
        settings=settings,
        unlike=tuple(sorted(known ^ set(recorded))) if recorded else (),
        policy=str(values.get("policy", "aerostat")),
    )
