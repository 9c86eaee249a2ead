"""The journal's file over its life: rolled up, swept, killed, of an earlier version, read."""

import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from aerostat.daemon.journal.file import Event, JournalFile, Keep, Sample
from aerostat.daemon.journal.history import guest_history, host_history
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.recording import Decided, Observation, Thought
from aerostat.daemon.journal.schema import MINUTE, QUARTER
from aerostat.daemon.journal.writer import Journal, _SteadyClock
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.errors import MissingError, UsageError
from aerostat.units import MIB

BEGAN = 1.8e9  # a whole quarter of an hour
DAY = 86400.0
ALL = Keep(2 * DAY, 8 * DAY, 90 * DAY, 1 << 40, None)


def sample(number: int, wall: float = BEGAN, names: tuple[str, ...] = ("a", "b")) -> Sample:
    """Return a tick a second after `wall`, of guests whose size falls and whose swap grows."""
    rows = len(names)
    statistics = np.full((rows, 16), np.nan)
    statistics[:, 1] = 1000.0 * number
    statistics[:, 6] = 50.0 * MIB + number
    observation = Observation(
        100.0 + number,
        wall + number,
        Hosts.of(("host",), budget=np.array([1e9]), available=np.array([2e9])),
        Guests.of(
            tuple(f"key-{name}" for name in names),
            max_size=np.full(rows, 512.0 * MIB),
            guest_size=np.full(rows, (400.0 - number) * MIB),
            held=np.full(rows, np.nan),
            statistics=statistics,
            sample_time=np.full(rows, 100.0 + number),
            guarantee=np.zeros(rows),
            ceiling=np.full(rows, 512.0 * MIB),
            shares=np.ones(rows),
        ),
        names,
    )
    decided = Decided(
        target_size=np.full(rows, np.nan),
        reason=("content",) * rows,
        condition=("fresh",) * rows,
        demand=np.full(rows, 300.0 * MIB),
        pressure=np.full(rows, 0.25),
    )
    return Sample(observation, 0.01, decided, number, "{}")


def row(path: Path, query: str) -> tuple[Any, ...]:
    file = sqlite3.connect(path)
    try:
        return tuple(file.execute(query).fetchone())
    finally:
        file.close()


def rolled_up(path: Path) -> list[tuple[Any, ...]]:
    file = sqlite3.connect(path)
    try:
        query = "SELECT * FROM guest_{0} ORDER BY guest, start"
        return [
            tuple(r) for span in ("minutes", "quarters") for r in file.execute(query.format(span))
        ]
    finally:
        file.close()


def wait_until(holds: Callable[[], object], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_ticks_become_minutes_and_quarters(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    file.write([sample(number) for number in range(150)], [])
    file.close()
    minutes = row(path, "SELECT count(*), sum(count) FROM guest_minutes JOIN guests ON id = guest")
    assert minutes == (6, 300)  # three of each guest; the last is not full
    low, mean, high, swapped, pressure = row(
        path,
        "SELECT guest_size_min, guest_size_mean, guest_size_max, swap_out, pressure_max"
        " FROM guest_quarters JOIN guests ON id = guest WHERE key = 'key-a'",
    )
    assert (low, high) == (251 * MIB, 400 * MIB)
    assert mean == pytest.approx(325.5 * MIB)
    assert swapped == 149_000
    assert pressure == 0.25
    assert row(path, "SELECT held_mean FROM guest_minutes") == (None,)
    # A guest that cannot be measured holds all that it may.
    assert row(path, "SELECT held_max, permitted_max FROM host_quarters") == (800 * MIB, 800 * MIB)


def test_a_killed_writer_loses_nothing_of_the_minute_under_way(path: Path, tmp_path: Path) -> None:
    whole = JournalFile.open(tmp_path / "whole.sqlite", "{}")
    whole.write([sample(number) for number in range(100)], [])
    whole.close()
    first = JournalFile.open(path, "{}")
    first.write([sample(number) for number in range(70)], [])
    first._file.close()  # as killed: what is only in memory is gone
    second = JournalFile.open(path, "{}")
    second.write([sample(number) for number in range(70, 100)], [])
    while second.catch_up():
        pass
    second.close()
    assert rolled_up(path) == rolled_up(tmp_path / "whole.sqlite")


def test_one_minute_in_parts_is_one_row(path: Path) -> None:
    """A manager that was started again, or whose wall clock was set back, goes on with it."""
    for numbers in (range(20), range(20, 50), range(10, 15)):
        file = JournalFile.open(path, "{}")
        file.write([sample(number) for number in numbers], [])
        file.close()
    assert row(path, "SELECT count(*), max(count) FROM guest_minutes") == (2, 55)
    assert row(path, "SELECT guest_size_min, guest_size_max FROM guest_minutes") == (
        351 * MIB,
        400 * MIB,
    )


def test_guests_come_and_go(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    for number in range(30):
        file.write([sample(number, names=("a", "b")[: 1 + number % 2])], [])
    file.write([sample(30, names=()), sample(31, names=("b",))], [])
    file.close()
    with JournalReader(path) as reader:
        assert reader.guests() == {"key-a": "a", "key-b": "b"}
        assert guest_history(reader, "key-a", span=MINUTE).count.tolist() == [30]
        assert guest_history(reader, "key-b", span=MINUTE).count.tolist() == [16]
        assert host_history(reader, "host", span=QUARTER).count.tolist() == [32]


def test_the_old_is_swept_a_portion_at_a_time_and_never_unrolled(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    file.write([sample(number) for number in range(1200)], [Event(1.0, BEGAN, "kind", "text")])
    keep = Keep(ticks=100, minutes=300, quarters=700, size=1 << 40, now=BEGAN + 1200)
    assert file.sweep(keep)
    left = [row(path, "SELECT count(*) FROM ticks")[0]]
    assert left[0] >= 700  # a portion, and the writer could write again
    while file.sweep(keep):
        left.append(row(path, "SELECT count(*) FROM ticks")[0])
    assert left == sorted(left, reverse=True)
    assert row(path, "SELECT min(wall), max(wall) FROM ticks") == (BEGAN + 1100, BEGAN + 1199)
    assert row(path, "SELECT min(start) FROM guest_minutes") == (BEGAN + 900,)
    assert row(path, "SELECT min(start) FROM guest_quarters") == (BEGAN + 900,)
    # What is not rolled up yet stays, whatever its age.
    while file.sweep(keep._replace(ticks=0, now=BEGAN + 1200)):
        pass
    assert row(path, "SELECT min(wall) FROM ticks") == (BEGAN + 1140,)
    file.close()


def test_what_takes_too_much_room_goes_ticks_first(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    move = MoveRow("key-a", "a", 1, 2, "grow_need", "because", 1.0, BEGAN, "accepted")
    names = tuple(f"guest-{number}" for number in range(40))
    file.write([sample(number, names=names) for number in range(400)], [move])
    size = file.used() - 32 * 1024
    while file.sweep(ALL._replace(size=size)):
        pass
    assert file.used() <= size
    assert row(path, "SELECT count(*) FROM ticks")[0] < 400
    assert row(path, "SELECT count(*) FROM moves") == (1,)
    assert row(path, "SELECT sum(count) FROM guest_quarters") == (360 * 40,)
    while file.sweep(ALL._replace(size=0)):
        pass
    # The newest tick stays, so that numbers do not begin anew.
    assert row(path, "SELECT max(id), count(*) FROM ticks") == (400, 1)
    assert row(path, "SELECT count(*) FROM guest_quarters") == (0,)
    file.write([sample(400, names=names)], [])
    assert row(path, "SELECT max(id) FROM ticks") == (401,)
    # Nor does the file keep the room for itself.
    for _ in range(20):
        file.sweep(ALL)
    file.close()
    assert path.stat().st_size < 1 * MIB


def test_minutes_do_not_push_out_all_ticks(path: Path) -> None:
    """Where both want more room than there is, both keep the same part of what was wished."""
    file = JournalFile.open(path, "{}")
    names = tuple(f"guest-{number}" for number in range(40))
    for hour in range(24):
        file.write([sample(10 * n, wall=BEGAN + 3600 * hour, names=names) for n in range(30)], [])
    wished = ALL._replace(ticks=12 * 3600, minutes=24 * 3600, size=file.used() * 2 // 3)
    while file.sweep(wished):
        pass
    for table, column, length in (("ticks", "wall", 12), ("guest_minutes", "start", 24)):
        low, high = row(path, f"SELECT min({column}), max({column}) FROM {table}")
        assert 0 < high - low < length * 3600
    file.close()


def test_a_clock_that_jumped_sweeps_nothing_and_leaves_nothing(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    file.write([sample(number) for number in range(10)], [])
    file.write([sample(10, wall=BEGAN + 1e9)], [])  # the clock is wrong for a while
    file.write([sample(number) for number in range(11, 100)], [])
    file.sweep(ALL)
    assert row(path, "SELECT count(*) FROM ticks") == (100,)  # what is old is not known now
    file.sweep(ALL._replace(ticks=50, now=BEGAN + 100))
    # The tick from the far future was written before some that are too old.
    assert row(path, "SELECT min(wall), max(wall) FROM ticks") == (BEGAN + 50, BEGAN + 99)
    file.close()


def test_ages_are_believed_when_the_clock_has_gone_steadily(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, offset = [1000.0], [1e9]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[0] + offset[0])
    clock = _SteadyClock(600.0)
    assert not clock.is_steady()
    now[0] += 601
    assert clock.is_steady()
    offset[0] += 86400
    assert not clock.is_steady()
    now[0] += 599
    assert not clock.is_steady()
    now[0] += 2
    offset[0] += 5  # as NTP does
    assert clock.is_steady()


def version_1(path: Path, ticks: int) -> None:
    """Write a journal as the first version did."""
    file = sqlite3.connect(path)
    file.executescript(
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, monotonic REAL, wall REAL, about TEXT);"
        "CREATE TABLE rosters (id INTEGER PRIMARY KEY, columns BLOB);"
        "CREATE TABLE ticks (id INTEGER PRIMARY KEY, run INTEGER, roster INTEGER, monotonic REAL,"
        " wall REAL, duration REAL, columns BLOB);"
        "CREATE TABLE moves (id INTEGER PRIMARY KEY, run INTEGER, key TEXT, name TEXT,"
        " from_size INTEGER, to_size INTEGER, reason TEXT, sentence TEXT, monotonic REAL,"
        " wall REAL, outcome TEXT);"
        "CREATE TABLE events (id INTEGER PRIMARY KEY, run INTEGER, monotonic REAL, wall REAL,"
        " kind TEXT, text TEXT);"
        "PRAGMA application_id = 1634038387; PRAGMA user_version = 1;"
        'INSERT INTO runs VALUES (1, 100.0, 1.8e9, \'{"mode":"manage","settings":{}}\');'
        "INSERT INTO moves VALUES"
        " (1, 1, 'key-a', 'web', 10, 20, 'grow_need', 'gets 10 B', 101.0, 1.8e9, 'accepted');"
    )
    roster = {
        "guarantee": [0.0], "ceiling": [512.0 * MIB], "shares": [1.0], "pinned": [None],
        "keys": ["key-a"], "host": [0], "managed": [True], "hosts": ["host"], "budget": [1e9],
    }  # fmt: skip
    file.execute("INSERT INTO rosters VALUES (1, ?)", (msgspec.json.encode(roster),))
    for number in range(ticks):
        columns = {
            "max_size": [512.0 * MIB], "guest_size": [256.0 * MIB], "held": [None],
            "sample_time": [100.0 + number], "statistics": [[None] * 16], "available": [None],
        }  # fmt: skip
        packed = zlib.compress(msgspec.json.encode(columns))
        times = (100.0 + number, BEGAN + number, 0.01)
        file.execute("INSERT INTO ticks VALUES (NULL, 1, 1, ?, ?, ?, ?)", (*times, packed))
    file.commit()
    file.close()


def assert_readable(path: Path, ticks: int) -> None:
    with JournalReader(path) as reader:
        seen = list(reader.observations())
        assert len(seen) == ticks
        assert seen[0].guests.keys == ("key-a",)
        assert seen[0].hosts.budget.tolist() == [1e9]
        assert np.isnan(seen[0].guests.held).all()
        assert reader.runs()[1].manage
        assert [move.name for move in reader.moves()] == ["web"]
        assert reader.find("web") == ("key-a",)
        history = guest_history(reader, "key-a", span=MINUTE)
        assert history.count.sum() == ticks
        assert set(history.columns["guest_size_mean"]) == {256.0 * MIB}


def test_a_journal_of_the_first_version_is_read_and_becomes_one_of_this(path: Path) -> None:
    version_1(path, 250)
    assert_readable(path, 250)  # as it is, and not changed by that
    assert row(path, "PRAGMA user_version") == (1,)
    file = JournalFile.open(path, "{}")
    assert file.catch_up()  # a portion, and more is left
    while file.catch_up():
        pass
    file.close()
    assert row(path, "PRAGMA user_version") == (2,)
    assert row(path, "SELECT sum(count) FROM guest_quarters") == (250,)
    assert_readable(path, 250)


def test_the_journals_thread_does_all_that_by_itself(path: Path) -> None:
    version_1(path, 250)
    journal = Journal(path)
    journal.start()
    journal.note(Event(1.0, 2.0, "started", "words"))
    wait_until(lambda: row(path, "PRAGMA user_version") == (2,))
    wait_until(lambda: row(path, "SELECT tick >= 240 FROM rolled") == (1,))
    journal.close(10)
    assert journal.condition == "ok"
    assert row(path, "SELECT sum(count) FROM guest_quarters") == (250,)


def test_what_cannot_be_taken_over_stays_what_it_was(path: Path) -> None:
    version_1(path, 5)
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE guests (x)")  # in the way of one that the new version wants
    file.close()
    with pytest.raises(sqlite3.OperationalError):
        JournalFile.open(path, "{}")
    assert row(path, "PRAGMA user_version") == (1,)
    assert row(path, "SELECT count(*) FROM sqlite_master WHERE name = 'states'") == (0,)


def test_upkeep_that_fails_costs_no_record_and_doubles_none(path: Path) -> None:
    fails = [True]

    class Failing(JournalFile):
        def catch_up(self) -> bool:
            if fails[0]:
                raise sqlite3.OperationalError("database or disk is full")
            return super().catch_up()

    journal = Journal(path, open_file=Failing.open, retry_after=0.01)
    journal.start()
    move = MoveRow("key-a", "a", 1, 2, "grow_need", "because", 1.0, BEGAN, "accepted")
    journal.sample(sample(0).observation, 0.0)
    journal.note(move)
    wait_until(lambda: "disk is full" in journal.condition)
    fails[0] = False
    wait_until(lambda: journal.condition == "ok")
    journal.close(10)
    assert row(path, "SELECT count(*) FROM moves") == (1,)
    assert row(path, "SELECT count(*) FROM ticks") == (1,)


def thoughts(count: int) -> list[tuple[Observation, Thought]]:
    """Return what an engine thought in a row."""
    state, told = State.empty(), []
    for number in range(count):
        seen = sample(number).observation
        after, plan = step(state, seen.time, seen.hosts, seen.guests, Settings())
        told.append((seen, Thought(state, after, plan, Settings(), True)))
        state = after
    return told


def test_states_are_kept_where_a_replay_can_begin(path: Path) -> None:
    journal = Journal(path)
    told = thoughts(8)
    told[3] = (told[3][0], told[3][1]._replace(before=State.empty()))
    late = told[6][0]._replace(time=told[6][0].time + 700.0)
    told[6] = (late, told[6][1])
    for seen, thought in told:
        journal.sample(seen, 0.0, thought)
    journal.start()
    journal.close(10)
    with JournalReader(path) as reader:
        ticks = list(reader.ticks())
        kept = {tick.number: tick.why for tick in ticks if tick.state is not None}
        # Begun, changed by somebody else than the engine, and after ten minutes.
        assert kept == {1: "begin", 4: "changed", 7: "due", 8: "due"}
        assert [tick.number for tick in ticks] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert reader.state_before(6) == 4
        assert ticks[0].decided is not None
        assert ticks[0].decided.reason == Decided.of(told[0][1].plan).reason


def test_after_dropped_ticks_a_replay_can_begin_again(path: Path) -> None:
    told = thoughts(40)
    journal = Journal(path, queue_limit=8 * 1024)
    for seen, thought in told[:30]:
        journal.sample(seen, 0.0, thought)
    assert journal.dropped_samples > 0
    journal.start()
    wait_until(lambda: not journal._samples)
    for seen, thought in told[30:]:
        journal.sample(seen, 0.0, thought)
        wait_until(lambda: not journal._samples)
    journal.close(10)
    with JournalReader(path) as reader:
        states = [tick for tick in reader.ticks() if tick.state is not None]
        assert states
        assert (states[-1].number or 0) > journal.dropped_samples


def test_other_settings_begin_a_run(path: Path) -> None:
    journal = Journal(path)
    told = thoughts(4)
    for number, (seen, thought) in enumerate(told):
        settings = Settings(mode="density") if number > 1 else thought.settings
        journal.sample(seen, 0.0, thought._replace(settings=settings, manage=number != 3))
    journal.start()
    journal.close(10)
    with JournalReader(path) as reader:
        runs = reader.runs()
        used = [runs[tick.run] for tick in reader.ticks()]
    assert [run.settings.mode for run in used] == ["need", "need", "density", "density"]
    assert [run.manage for run in used] == [True, True, True, False]
    assert used[0].unlike == ()


def test_settings_of_another_engine_are_read_and_named(path: Path) -> None:
    file = JournalFile.open(path, '{"mode": "observe", "settings": {"cooldown": 7.0, "gone": 1}}')
    file.write([], [Event(1.0, 2.0, "kind", "text")])
    file.close()
    with JournalReader(path) as reader:
        (run,) = reader.runs().values()
    assert run.settings.cooldown == 7.0
    assert not run.manage
    assert {"gone", "mode"} <= set(run.unlike)


class TestReading:
    def test_what_is_no_journal(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match="there is no journal"):
            JournalReader(tmp_path / "none")
        (tmp_path / "text").write_text("no database\n" * 100)
        with pytest.raises(UsageError, match="is not a journal of aerostat"):
            JournalReader(tmp_path / "text")
        (tmp_path / "empty").touch()
        with pytest.raises(UsageError, match="is empty"):
            JournalReader(tmp_path / "empty")
        file = sqlite3.connect(tmp_path / "theirs")
        file.execute("CREATE TABLE theirs (x)")
        file.close()
        with pytest.raises(UsageError, match="is not a journal of aerostat"):
            JournalReader(tmp_path / "theirs")

    def test_a_newer_version_is_left_alone(self, path: Path) -> None:
        JournalFile.open(path, "{}").close()
        file = sqlite3.connect(path)
        file.execute("PRAGMA user_version = 3")
        file.close()
        with pytest.raises(UsageError, match="but of a newer one"):
            JournalReader(path)
        with pytest.raises(UsageError, match="but of a newer one"):
            JournalFile.open(path, "{}")

    def test_a_broken_record_is_told_as_that(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        file.write([sample(0), sample(1)], [])
        file._file.execute("UPDATE ticks SET columns = x'00' WHERE id = 2")
        file.close()
        with JournalReader(path) as reader, pytest.raises(UsageError, match="cannot be read"):
            list(reader.ticks())
        again = JournalFile.open(path, "{}")
        again.catch_up()  # the writer goes on
        again.close()

    @pytest.mark.parametrize(
        ("damage", "read"),
        [
            ("UPDATE rolled SET tick = NULL", JournalReader.rolled),
            ("UPDATE rolled SET tick = 'text'", JournalReader.rolled),
            ("UPDATE ticks SET wall = 'text'", JournalReader.span),
            ("UPDATE ticks SET wall = 1e300", JournalReader.span),
            ("UPDATE ticks SET monotonic = NULL", lambda reader: [*reader.ticks()]),
            ("UPDATE ticks SET columns = NULL", lambda reader: [*reader.ticks()]),
            ("UPDATE runs SET about = x'ff'", JournalReader.runs),
            ("UPDATE runs SET about = NULL", JournalReader.runs),
            ("UPDATE moves SET name = NULL", JournalReader.guests),
            ("UPDATE moves SET from_size = 'text'", lambda reader: [*reader.moves()]),
            ("UPDATE events SET text = x'00'", lambda reader: [*reader.events()]),
            ("UPDATE rosters SET columns = '{\"hosts\": 7}'", lambda reader: [*reader.ticks()]),
        ],
    )
    def test_a_value_that_cannot_be_is_told_as_that(
        self, path: Path, damage: str, read: Callable[[JournalReader], object]
    ) -> None:
        file = JournalFile.open(path, "{}")
        move = MoveRow("key-a", "a", 1, 2, "grow_need", "because", 1.0, BEGAN, "accepted")
        file.write([sample(0), sample(1)], [move, Event(1.0, BEGAN, "kind", "text")])
        file.close()
        with sqlite3.connect(path) as damaged:
            damaged.execute(damage)
        damaged.close()
        with JournalReader(path) as reader, pytest.raises(UsageError, match="cannot be read"):
            read(reader)

    def test_rows_in_disorder_are_not_read_for_ever(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        file.write([], [Event(second, BEGAN, "kind", "text") for second in (1.0, 2.0)])
        file.close()
        with sqlite3.connect(path) as damaged:
            damaged.execute("ALTER TABLE events RENAME TO rows")
            columns = "7 AS id, monotonic, wall, kind, text"
            damaged.execute(f"CREATE VIEW events AS SELECT {columns} FROM rows")
        damaged.close()
        with JournalReader(path) as reader, pytest.raises(UsageError, match="in disorder"):
            list(reader.events())

    def test_columns_of_other_lengths_are_told_as_that(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        file.write([sample(0), sample(1)], [])
        (packed,) = file._file.execute("SELECT columns FROM ticks").fetchone()
        columns = msgspec.json.decode(zlib.decompress(packed))
        columns["of_hosts"]["budget"] = [1.0, 2.0]
        packed = zlib.compress(msgspec.json.encode(columns))
        file._file.execute("UPDATE ticks SET columns = ? WHERE id = 1", (packed,))
        file.close()
        with JournalReader(path) as reader, pytest.raises(UsageError, match="1 rows"):
            list(reader.ticks())
        again = JournalFile.open(path, "{}")
        assert not again.catch_up()
        again.close()

    def test_a_time_that_is_none_holds_up_nobody(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        file.write([sample(0), sample(1)], [])
        file._file.execute("UPDATE ticks SET wall = 'text' WHERE id = 1")
        file._file.execute("UPDATE rolled SET tick = 0")
        file._rolled = file._added = 0
        assert not file.catch_up()
        assert file._added == 2
        file.close()

    def test_by_time_and_by_guest(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        moves = [
            MoveRow(f"key-{who}", who, 1, 2, "grow_need", "because", 1.0, BEGAN + wall, "accepted")
            for wall in range(300)
            for who in "ab"
        ]
        file.write([sample(number) for number in range(300)], moves)
        file.close()
        with JournalReader(path) as reader:
            part = list(reader.observations(BEGAN + 100, BEGAN + 250))
            assert [one.wall for one in part] == [BEGAN + wall for wall in range(100, 251)]
            found = list(reader.moves("key-b", BEGAN + 10, BEGAN + 200))
            assert len(found) == 191
            assert {move.name for move in found} == {"b"}
            assert len(list(reader.moves())) == 600
            assert reader.bounds(BEGAN + 1e6) == (0, -1)
            assert list(reader.observations(BEGAN + 1e6)) == []

    def test_a_writer_goes_on_beside_a_reader_that_is_slow(self, path: Path) -> None:
        file = JournalFile.open(path, "{}")
        file.write([sample(number) for number in range(250)], [])
        with JournalReader(path) as reader:
            ticks = reader.ticks()
            next(ticks)
            file.write([sample(number) for number in range(250, 300)], [])
            # No view of the file is held open meanwhile: the log can be cleared.
            (busy, *_) = file._file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert busy == 0
            assert len(list(ticks)) == 249
        file.close()
