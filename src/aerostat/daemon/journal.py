"""The journal: every observation and every move, written behind the manager's back.

The manager hands records over and never waits: they queue in memory, within a bound, and where
the disk is full, slow, read-only or broken the oldest *samples* are dropped and counted, moves
and events only after them. The trouble is shown in `condition`; writing is tried again. A
thread of its own touches the file (see `journal_file`).
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aerostat.daemon.journal_file import Event, JournalFile, Sample
from aerostat.daemon.names import clean_text
from aerostat.daemon.recording import Observation, weigh
from aerostat.daemon.snapshot import MoveRow
from aerostat.errors import UsageError
from aerostat.units import MIB

log = logging.getLogger(__name__)

Note = MoveRow | Event

# What may wait in memory for a disk that does not keep up: half an hour of fifty guests.
_QUEUE_LIMIT = 32 * MIB
_NOTE_WEIGHT = 1024
_RETRY_AFTER = 10.0
_SWEEP_EVERY = 60.0
_CLOSE_LIMIT = 2.0


class JournalLike(Protocol):
    """What the manager asks of a journal. None of it waits."""

    @property
    def condition(self) -> str:
        """``ok``, ``off``, or what is wrong."""

    def sample(self, observation: Observation, duration: float) -> None:
        """Remember what a tick saw and how many seconds it took."""

    def note(self, note: Note) -> None:
        """Remember a move or an event."""


class NoJournal:
    """The journal of a manager that keeps none."""

    condition = "off"

    def sample(self, observation: Observation, duration: float) -> None:
        """Forget it."""

    def note(self, note: Note) -> None:
        """Forget it."""


class Journal:
    """Records in; a file at `path`, written by a thread.

    `keep_hours` and `keep_size` (bytes) bound the file, `queue_limit` (bytes) what waits for it;
    `about` (JSON) is kept with the run. `open_file` and `retry_after` are there for tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_hours: float = 48.0,
        keep_size: int = 1024 * MIB,
        about: str = "{}",
        queue_limit: int = _QUEUE_LIMIT,
        retry_after: float = _RETRY_AFTER,
        open_file: Callable[[Path, str], JournalFile] = JournalFile.open,
    ) -> None:
        self.path = path
        self.dropped_samples = 0
        self.dropped_notes = 0
        self._keep_seconds = keep_hours * 3600
        self._keep_size = keep_size
        self._about = about
        self._limit = queue_limit
        self._retry_after = retry_after
        self._open_file = open_file
        self._samples: deque[Sample] = deque()
        self._notes: deque[Note] = deque()
        self._weight = 0
        self._trouble = ""
        self._closing = False
        # Guards the queues; held for moments only, never while the disk works.
        self._changed = threading.Condition()
        self._file: JournalFile | None = None
        self._swept = -_SWEEP_EVERY
        # A daemon thread: a disk that hangs must not hold up the manager's end either.
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)

    @property
    def condition(self) -> str:
        """``ok``, or what is wrong and how much was dropped for it."""
        parts = [self._trouble] if self._trouble else []
        if self.dropped_samples or self.dropped_notes:
            parts.append(f"{self.dropped_samples} samples, {self.dropped_notes} notes dropped")
        return "; ".join(parts) or "ok"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, limit: float = _CLOSE_LIMIT) -> None:
        """Write what waits and end the thread, but wait for the disk at most `limit` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(limit)

    def sample(self, observation: Observation, duration: float) -> None:
        """Queue what a tick saw. Its columns must not be changed afterwards."""
        with self._changed:
            self._samples.append(Sample(observation, duration))
            self._weight += weigh(observation.guests)
            self._make_room()
            self._changed.notify()

    def note(self, note: Note) -> None:
        """Queue a move or an event."""
        with self._changed:
            self._notes.append(note)
            self._weight += _NOTE_WEIGHT
            self._make_room()
            self._changed.notify()

    def _make_room(self) -> None:
        while self._weight > self._limit and self._samples:
            self._weight -= weigh(self._samples.popleft().observation.guests)
            self.dropped_samples += 1
        while self._weight > self._limit and self._notes:
            self._notes.popleft()
            self._weight -= _NOTE_WEIGHT
            self.dropped_notes += 1

    # From here on the thread's side.

    def _write_all(self) -> None:
        while (batch := self._take()) is not None:
            samples, notes = batch
            try:
                self._write(samples, notes)
                self._trouble = ""
            except (sqlite3.Error, OSError, UsageError) as error:
                self._report(error)
                self._wait_to_retry(samples, notes)
            except Exception as error:  # noqa: BLE001 - a record that cannot be written must not
                # end the thread, nor be tried for ever.
                self._report(error)
                self.dropped_samples += len(samples)
                self.dropped_notes += len(notes)
        self._close_file()

    def _take(self) -> tuple[list[Sample], list[Note]] | None:
        """Wait for records and take all there are; None when closing and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._samples or self._notes or self._closing)
            if not self._samples and not self._notes:
                return None
            batch = list(self._samples), list(self._notes)
            self._samples.clear()
            self._notes.clear()
            self._weight = 0
            return batch

    def _write(self, samples: list[Sample], notes: list[Note]) -> None:
        if self._file is None:
            self._file = self._open_file(self.path, self._about)
        if time.monotonic() - self._swept >= _SWEEP_EVERY:
            self._file.sweep(time.time() - self._keep_seconds, self._keep_size)
            self._swept = time.monotonic()
        self._file.write(samples, notes)

    def _report(self, error: Exception) -> None:
        text = f"journal cannot be written: {clean_text(error)}"
        if text != self._trouble:  # said once, however often it is met again
            log.warning("%s: %s", self.path, text)
        self._trouble = text
        self._close_file()
        if type(error) is sqlite3.DatabaseError:
            # Not a database, or a broken one: trying again would never help, a new file does.
            self._set_aside()

    def _wait_to_retry(self, samples: list[Sample], notes: list[Note]) -> None:
        """Give up `samples`, put `notes` back, and wait. What fails when closing is given up."""
        with self._changed:
            self.dropped_samples += len(samples)
            if self._closing:
                self.dropped_notes += len(notes)
                return
            self._notes.extendleft(reversed(notes))
            self._weight += _NOTE_WEIGHT * len(notes)
            self._make_room()
            self._changed.wait_for(lambda: self._closing, self._retry_after)

    def _set_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.broken-{int(time.time())}")
        with contextlib.suppress(OSError):
            self.path.rename(aside)
            log.warning("%s is broken; kept as %s", self.path, aside.name)
            for suffix in ("-wal", "-shm"):  # the old file's; they would spoil the new one
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
