"""A journal's file, damaged in its values or in its bytes, and all that is read of it.

Touches a file of its own.
"""

import functools
import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from aerostat.daemon.journal.file import Event, JournalFile, Sample
from aerostat.daemon.journal.history import TICK, guest_history, host_history, host_names
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.recording import (
    Decided,
    Observation,
    about,
    pack_roster,
    pack_sample,
    pack_state,
    unpack,
    unpack_state,
)
from aerostat.daemon.journal.schema import MINUTE, QUARTER
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.errors import MissingError, UsageError
from aerostat.replay.past import guest_past, host_past
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files, json_values

_KEYS = ("key-a", "key-b")
_BEGAN = 1.8e9
_WORDS = (
    *("keys", "host", "managed", "hosts", "names", "of_hosts", "decided", "wishes", "statistics"),
    *("target_size", "reason", "condition", "demand", "pressure", "budget", "max_size"),
    *("settings", "version", "mode", "policy", "columns", "stepped", "observe", "fresh_for"),
)
_COLUMNS = {
    "runs": ("monotonic", "wall", "about"),
    "rosters": ("columns",),
    "ticks": ("run", "roster", "monotonic", "wall", "duration", "columns", "number"),
    "moves": ("key", "name", "from_size", "to_size", "reason", "sentence", "wall", "outcome"),
    "events": ("monotonic", "wall", "kind", "text"),
    "states": ("tick", "why", "columns"),
    "guests": ("id", "key", "name", "wall"),
    "rolled": ("tick",),
    "guest_minutes": ("guest", "start", "count", "max_size_mean", "swap_in"),
    "host_quarters": ("host", "start", "count", "budget_max"),
}
_PACKED = {("ticks", "columns"), ("states", "columns")}
_PLAIN = {("runs", "about"), ("rosters", "columns")}


def _observation(number: int) -> Observation:
    rows = len(_KEYS)
    return Observation(
        100.0 + number,
        _BEGAN + 40.0 * number,
        Hosts.of(("host",), budget=np.array([1e9]), available=np.array([2e9])),
        Guests.of(
            _KEYS,
            max_size=np.full(rows, 512e6),
            guest_size=np.full(rows, 400e6 - number),
            statistics=np.full((rows, 16), 1000.0 * number),
            sample_time=np.full(rows, 100.0 + number),
        ),
        ("a", "b"),
    )


def _decided() -> Decided:
    unknown = np.full(len(_KEYS), np.nan)
    return Decided(unknown, ("content",) * 2, ("fresh",) * 2, unknown, unknown)


@functools.cache
def _sound() -> bytes:
    """Return a journal's bytes."""
    path = files.directory() / "sound.sqlite"
    told = about(Settings(), manage=True)
    journal = JournalFile.open(path, told)
    state = State.empty().aligned(_KEYS, ("host",))
    for number in range(4):
        seen = _observation(number)
        sample = Sample(seen, 0.01, _decided(), number, told, state, "due")
        move = MoveRow("key-a", "a", 1, 2, "give", "it wants", 1.0, seen.wall, "accepted")
        journal.write([sample], [move, Event(1.0, seen.wall, "start", "it began")])
    journal.close()
    file = sqlite3.connect(path)
    file.execute("PRAGMA journal_mode = DELETE")
    file.close()
    return path.read_bytes()


@functools.cache
def _columns() -> tuple[Any, Any, Any]:
    """Return the roster, the sample and the state of a tick as they are before they are packed."""
    seen = _observation(1)
    packed = pack_sample(seen, _decided()), pack_state(State.empty().aligned(_KEYS, ("host",)))
    sample, state = (json.loads(zlib.decompress(one)) for one in packed)
    return json.loads(pack_roster(seen)), sample, state


def run(case: bytes) -> None:
    """Damage a journal, and read it; each reading works, or says that it cannot."""
    source = Source(case)
    if source.chance(50):
        _unpack(source)
        return
    data = bytearray(_sound())
    if source.chance(50):
        for _ in range(source.below(12)):
            # Most of a file is free space; its beginning and the ends of its pages are not.
            at = source.below(200) if source.chance(20) else source.below(len(data))
            data[at] = source.byte()
    path = files.write("journal.sqlite", bytes(data))
    if source.left:
        _change(source, path)
    try:
        with JournalReader(path) as reader:
            for reading in _readings(source):
                _try(lambda reading=reading: reading(reader))  # type: ignore[misc]
    finally:
        for beside in path.parent.glob("journal.sqlite-*"):
            beside.unlink()


def _try(action: Callable[[], object]) -> None:
    try:
        action()
    except UsageError:
        return


def _readings(source: Source) -> list[Callable[[JournalReader], object]]:
    key = source.choose(_KEYS)
    span = source.choose((TICK, MINUTE, QUARTER))
    return [
        lambda reader: reader.runs(),
        lambda reader: reader.span(),
        lambda reader: reader.find("a"),
        lambda reader: list(reader.ticks()),
        lambda reader: list(reader.observations(_BEGAN, _BEGAN + 100)),
        lambda reader: reader.state_before(3),
        lambda reader: list(reader.moves()),
        lambda reader: list(reader.events()),
        lambda reader: reader.rolled(),
        host_names,
        lambda reader: guest_history(reader, key, span=span),
        lambda reader: host_history(reader, "host", span=span),
        lambda reader: guest_past(reader, key, _BEGAN, _BEGAN + 300).csv(),
        lambda reader: host_past(reader, _BEGAN, _BEGAN + 300, span).to_json(),
    ]


def _change(source: Source, path: Path) -> None:
    """Set some values of the tables."""
    file = sqlite3.connect(path)
    try:
        for _ in range(source.below(4)):
            table = source.choose(tuple(_COLUMNS))
            column = source.choose(_COLUMNS[table])
            statement = f"UPDATE {table} SET {column} = ?"  # noqa: S608 - the names are ours
            file.execute(statement, (_value(source, table, column),))
        file.commit()
    except (sqlite3.Error, OverflowError, UnicodeDecodeError):
        pass
    finally:
        file.close()


def _value(source: Source, table: str, column: str) -> object:
    whole: Any = None
    roster, sample, state = _columns()
    if (table, column) in _PLAIN:
        whole = roster if table == "rosters" else {"settings": {}, "version": "0.1.0"}
    elif (table, column) in _PACKED:
        whole = sample if table == "ticks" else state
    if whole is None or source.chance(15):
        return source.choose(
            (None, source.number(63), -1.5, float("inf"), "text", "\x00", source.blob(20), 10**12)
        )
    text = json_values.text(source, json_values.spoil(source, whole, _WORDS, source.below(4)))
    return zlib.compress(text, 1) if (table, column) in _PACKED else text


def _unpack(source: Source) -> None:
    roster, sample, state = _columns()
    spoiled = [
        json_values.text(source, json_values.spoil(source, whole, _WORDS, source.below(4)))
        for whole in (roster, sample, state)
    ]
    if source.chance(10):
        spoiled[1] = source.blob(40)
    seen, decided = unpack(1.0, 2.0, spoiled[0], zlib.compress(spoiled[1], 1))
    assert len(seen.guests.statistics) == len(seen.guests.keys)
    assert decided is None or decided.target_size.ndim <= 1
    msgspec.json.encode(unpack_state(zlib.compress(spoiled[2], 1)).to_dict())


TARGET = Target(
    "journal",
    "a journal's file",
    run,
    allowed=(UsageError, MissingError),
)
