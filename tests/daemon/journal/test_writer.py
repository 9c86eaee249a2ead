"""The journal: exact, bounded, and never in the way."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aerostat.daemon.journal.file import Event, JournalFile, Keep, Sample
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.recording import Observation, pack_roster, pack_sample, unpack
from aerostat.daemon.journal.writer import Journal
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.observation import FloatArray, Guests, Hosts


def observations(path: Path) -> list[Observation]:
    with JournalReader(path) as reader:
        return list(reader.observations())


def observe(now: float = 1.0, rows: int = 3, wall: float | None = None) -> Observation:
    column = np.arange(rows, dtype=np.float64) + now
    statistics = np.full((rows, 16), np.nan)
    statistics[:, 4] = column
    hosts = Hosts.of(("host",), budget=np.array([8.0]), available=np.array([np.nan]))
    guests = Guests.of(
        tuple(f"guest-{row}" for row in range(rows)),
        max_size=column,
        guest_size=column,
        held=np.full(rows, np.nan),
        statistics=statistics,
        sample_time=column,
        guarantee=np.ones(rows),
        ceiling=np.ones(rows),
        shares=np.ones(rows),
    )
    return Observation(now, time.time() if wall is None else wall, hosts, guests)


def move(number: int = 1) -> MoveRow:
    return MoveRow("k", "n", number, 2, "grow_need", "because", 1.0, time.time(), "accepted")


def assert_same(one: Observation, other: Observation) -> None:
    assert (one.time, one.wall, one.names) == (other.time, other.wall, other.names)
    for left, right in ((one.hosts, other.hosts), (one.guests, other.guests)):
        for name in left.__slots__:
            a, b = getattr(left, name), getattr(right, name)
            np.testing.assert_array_equal(a, b)
            assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def wait_until(holds: Callable[[], object], limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def count(path: Path, table: str) -> int:
    file = sqlite3.connect(path)
    try:
        return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal.sqlite"


@given(
    arrays.arrays(np.float64, (2, 16), elements=st.floats(allow_infinity=False)),
    arrays.arrays(np.float64, 2, elements=st.floats(allow_infinity=False)),
)
def test_columns_come_back_bit_for_bit(statistics: FloatArray, column: FloatArray) -> None:
    seen = observe(rows=2)
    guests = Guests(
        **{name: getattr(seen.guests, name) for name in seen.guests.__slots__}
        | {"statistics": statistics, "held": column, "pinned": column}
    )
    whole = Observation(1.0, 2.0, seen.hosts, guests, ("a", "b"))
    back, decided = unpack(1.0, 2.0, pack_roster(whole), pack_sample(whole))
    assert_same(whole, back)
    assert decided is None


def test_what_was_recorded_is_read_back_in_order(path: Path) -> None:
    journal = Journal(path)
    journal.start()
    seen = [observe(float(now), rows=now) for now in range(5)]
    for one in seen:
        journal.sample(one, 0.01)
    journal.note(move())
    journal.note(Event(1.0, 2.0, "problem", "words"))
    journal.close()
    assert journal.condition == "ok"
    back = list(observations(path))
    assert len(back) == 5
    for one, other in zip(seen, back, strict=True):
        assert_same(one, other)
    assert count(path, "moves") == count(path, "events") == count(path, "runs") == 1


def test_the_roster_is_written_only_when_it_changes(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    file.write([Sample(observe(float(now)), 0.0) for now in range(10)], [])
    file.write([Sample(observe(11.0, rows=4), 0.0)], [])
    file.close()
    assert count(path, "rosters") == 2
    assert count(path, "ticks") == 11


def test_old_and_superfluous_ticks_are_swept(path: Path) -> None:
    file = JournalFile.open(path, "{}")
    now = time.time()
    file.write([Sample(observe(1.0, wall=now - 100), 0.0)], [])
    file.write([Sample(observe(float(t), rows=100, wall=now), 0.0) for t in range(300)], [])
    file.catch_up()
    file.sweep(Keep(50, 50, 50, 1 << 40, now))
    assert len(observations(path)) == 300
    file.close()


def full_file(path: Path, about: str) -> JournalFile:
    """Open a journal on what SQLite believes to be a full disk."""
    file = JournalFile.open(path, about)
    pages = file._file.execute("PRAGMA page_count").fetchone()[0]
    file._file.execute(f"PRAGMA max_page_count = {pages}")
    return file


def test_a_full_disk_is_a_condition_and_not_a_delay(path: Path) -> None:
    journal = Journal(path, open_file=full_file, retry_after=0.01)
    journal.start()
    for now in range(50):
        journal.sample(observe(float(now), rows=200), 0.0)
    wait_until(lambda: "database or disk is full" in journal.condition)
    wait_until(lambda: journal.dropped_samples > 0)
    journal.close()
    assert "samples" in journal.condition


def test_a_disk_that_comes_back_gets_the_moves_and_not_the_samples(path: Path) -> None:
    broken = threading.Event()
    broken.set()

    def open_file(path: Path, about: str) -> JournalFile:
        if broken.is_set():
            raise OSError(30, "Read-only file system")
        return JournalFile.open(path, about)

    journal = Journal(path, open_file=open_file, retry_after=0.01)
    journal.start()
    for number in range(3):
        journal.sample(observe(), 0.0)
        journal.note(move(number))
    wait_until(lambda: "Read-only" in journal.condition)
    broken.clear()
    wait_until(lambda: "Read-only" not in journal.condition)
    journal.close()
    assert journal.dropped_notes == 0
    assert count(path, "moves") == 3


def test_a_disk_that_hangs_delays_nobody_and_drops_samples_before_moves(path: Path) -> None:
    hang = threading.Event()

    def open_file(path: Path, about: str) -> JournalFile:
        hang.wait(30)
        return JournalFile.open(path, about)

    journal = Journal(path, open_file=open_file, queue_limit=64 * 1024)
    journal.start()
    journal.note(move())
    wait_until(lambda: not journal._notes)  # the thread has it, and hangs
    for _ in range(20):
        journal.note(move())
    for now in range(500):
        journal.sample(observe(float(now)), 0.0)
    assert journal.dropped_samples > 300
    assert journal.dropped_notes == 0
    assert journal._weight <= 64 * 1024
    for _ in range(100):
        journal.note(move())
    assert journal.dropped_samples == 500
    assert journal.dropped_notes == 120 - 64
    hang.set()
    journal.close(10)
    assert count(path, "moves") == 1 + 64


def test_closing_waits_for_a_hanging_disk_no_longer_than_said(path: Path) -> None:
    hang = threading.Event()

    def open_file(path: Path, about: str) -> JournalFile:
        hang.wait(30)
        raise OSError(5, "gone")

    journal = Journal(path, open_file=open_file)
    journal.start()
    journal.note(move())
    journal.close(0.01)
    assert journal._thread.is_alive()
    hang.set()
    journal._thread.join(10)
    assert not journal._thread.is_alive()
    assert journal.dropped_notes == 1


def test_a_broken_file_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    journal = Journal(path, retry_after=0.01)
    journal.start()
    journal.note(move())
    wait_until(lambda: list(path.parent.glob("*.broken-*")))
    journal.close()
    assert count(path, "moves") == 1
    assert journal.condition == "ok"


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    file = sqlite3.connect(path)
    file.execute("CREATE TABLE theirs (x)")
    file.commit()
    file.close()
    before = path.read_bytes()
    journal = Journal(path, retry_after=0.01)
    journal.start()
    journal.note(move())
    wait_until(lambda: "not a journal" in journal.condition)
    journal.close()
    assert path.read_bytes() == before


def test_a_record_that_cannot_be_written_does_not_end_the_thread(path: Path) -> None:
    journal = Journal(path, retry_after=0.01)
    journal.start()
    journal.note(move(1 << 80))
    wait_until(lambda: journal.dropped_notes == 1)
    journal.note(move())
    wait_until(lambda: path.exists() and journal.condition.startswith("0 samples"))
    journal.close()
    assert count(path, "moves") == 1
