"""What a journal's file looks like: tables, versions, and how an older file becomes a newer one.

Version 1 had `runs`, `rosters`, `ticks`, `moves` and `events`. Version 2 numbers the ticks, keeps
the engine's state now and then (`states`), names the guests (`guests`), and rolls ticks up into
rows that a person's SQL can read: a minute or a quarter of an hour of one guest or host each.
Touches the one file that it is given.
"""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError

VERSION = 2
APPLICATION = 0x61657273  # "aers": tells our files from others' (SQLite's application_id)

MINUTE = 60.0
QUARTER = 900.0


class Figures(NamedTuple):
    """The columns of a rolled-up row: levels have a least, a mean and a highest value."""

    table: str
    """What the tables' names begin with."""
    levels: tuple[str, ...]
    growths: tuple[str, ...]
    """By how much these counters grew."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all value columns, in the order in which rows have them."""
        sides = ("min", "mean", "max")
        return (*(f"{name}_{side}" for name in self.levels for side in sides), *self.growths)


OF_GUESTS = Figures(
    "guest",
    ("max_size", "guest_size", "held", "available_memory", "demand", "pressure"),
    ("swap_in", "swap_out", "major_faults", "alloc_stalls", "direct_reclaims", "oom_kills"),
)
OF_HOSTS = Figures(
    "host", ("budget", "available", "held", "permitted", "reserved", "pressure", "swap_out"), ()
)
SPANS = {MINUTE: "minutes", QUARTER: "quarters"}
"""Seconds of a rolled-up row, and the end of its table's name."""


def rolled_table(figures: Figures, span: float) -> str:
    """Return the name of the table with rows of `span` seconds: ``guest_minutes``."""
    return f"{figures.table}_{SPANS[span]}"


_VERSION_1 = """
CREATE TABLE runs (id INTEGER PRIMARY KEY, monotonic REAL, wall REAL, about TEXT);
CREATE TABLE rosters (id INTEGER PRIMARY KEY, columns BLOB);
CREATE TABLE ticks (id INTEGER PRIMARY KEY, run INTEGER, roster INTEGER, monotonic REAL,
                    wall REAL, duration REAL, columns BLOB);
CREATE TABLE moves (id INTEGER PRIMARY KEY, run INTEGER, key TEXT, name TEXT, from_size INTEGER,
                    to_size INTEGER, reason TEXT, sentence TEXT, monotonic REAL, wall REAL,
                    outcome TEXT);
CREATE TABLE events (id INTEGER PRIMARY KEY, run INTEGER, monotonic REAL, wall REAL, kind TEXT,
                     text TEXT);
"""

# Rows of the rolled-up tables are found by who and when: that is their key, and there is no other.
_VERSION_2 = """
ALTER TABLE ticks ADD COLUMN number INTEGER;
CREATE TABLE states (tick INTEGER PRIMARY KEY, why TEXT, columns BLOB);
CREATE TABLE guests (id INTEGER PRIMARY KEY, key TEXT UNIQUE, name TEXT, wall REAL);
CREATE TABLE rolled (tick INTEGER);
INSERT INTO rolled VALUES (0);
CREATE INDEX ticks_by_wall ON ticks (wall);
CREATE INDEX moves_by_wall ON moves (wall);
CREATE INDEX moves_by_key ON moves (key, wall);
CREATE INDEX events_by_wall ON events (wall);
"""


_MERGE = "INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({who}, start) DO UPDATE SET {sets}"


def merging(figures: Figures, span: float) -> str:
    """Return the statement that writes a rolled-up row, merged with the one there may be.

    A mean that only one of the two knows counts for both.
    """
    values = figures.columns
    both = "(({0} * count + excluded.{0} * excluded.count) / (count + excluded.count))"
    either = "{1}({0}, excluded.{0})"
    known = "coalesce({0}, excluded.{0})"
    sets = ["count = count + excluded.count"]
    for name in values:
        if name in figures.growths:
            merged = "{0} + excluded.{0}"
        elif name.endswith("_mean"):
            merged = f"coalesce({both}, {{0}}, excluded.{{0}})"
        else:
            merged = f"coalesce({either}, {known})"
        sets.append(f"{name} = " + merged.format(name, name.rpartition("_")[2]))
    marks = ", ".join("?" * (3 + len(values)))
    table = rolled_table(figures, span)
    return _MERGE.format(table=table, marks=marks, who=figures.table, sets=", ".join(sets))


def _rolled_tables() -> str:
    statements = []
    for figures, kind in ((OF_GUESTS, "INTEGER"), (OF_HOSTS, "TEXT")):
        who = figures.table
        values = ", ".join(f"{name} REAL" for name in figures.columns)
        for span in SPANS:
            table = rolled_table(figures, span)
            columns = f"{who} {kind}, start REAL, count INTEGER, {values}"
            key = f"PRIMARY KEY ({who}, start)"
            statements += [
                f"CREATE TABLE {table} ({columns}, {key}) WITHOUT ROWID;",
                f"CREATE INDEX {table}_by_start ON {table} (start);",
            ]
    return "\n".join(statements)


_STEPS = {1: _VERSION_1, 2: _VERSION_2 + _rolled_tables()}
"""What makes each version of the one before."""


def version_of(file: sqlite3.Connection, path: Path) -> int:
    """Return which version of a journal `file` is, 0 for an empty file.

    Raises `UsageError` for another program's file, or one of a newer aerostat.
    """
    version = int(file.execute("PRAGMA user_version").fetchone()[0])
    owner = file.execute("PRAGMA application_id").fetchone()[0]
    tables = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables:
        return 0
    if owner != APPLICATION:
        raise UsageError(f"{path} is not a journal of aerostat")
    if not 1 <= version <= VERSION:
        raise UsageError(f"{path} is not a journal of this version of aerostat, but of a newer one")
    return version


def prepare(file: sqlite3.Connection, path: Path) -> None:
    """Make `file` a journal of this version, whatever it was, in one transaction.

    Raises `UsageError` as `version_of` does.
    """
    version = version_of(file, path)
    if version == 0:
        # Free pages can be given back to the disk a few at a time; only a new file can have that.
        file.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # WAL: readers never hold up the writer; NORMAL: a power cut may cost the last transactions
    # and never the file (sqlite.org/wal.html).
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute("PRAGMA journal_size_limit = 16777216")
    if version < VERSION:
        steps = "\n".join(_STEPS[number] for number in range(version + 1, VERSION + 1))
        mark = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        file.executescript(f"BEGIN IMMEDIATE; {steps} {mark} COMMIT;")
