"""The journal: every observation and every move, written behind the manager's back.

The manager hands records over and never waits: they queue in memory, within a bound, and where
the disk is full, slow, read-only or broken the oldest *samples* are dropped and counted, moves
and events only after them. The trouble is shown in `condition`; writing is tried again. A
thread of its own touches the file (see `journal_file`). Between writings it rolls up what it wrote
and deletes what is too old, a portion at a time.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aerostat.daemon.journal.file import Event, JournalFile, Keep, Sample
from aerostat.daemon.journal.recording import (
    Decided,
    Observation,
    Thought,
    about,
    weigh,
    weigh_state,
)
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import MoveRow
from aerostat.engine.plan import Plan
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
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
# Between two portions of the upkeep where nothing is to be written.
_BREATHER = 0.1
# A replay can begin at each state that was kept, and must step through at most this much before.
_STATE_EVERY = 600.0
# A wall clock that jumped by more than this may jump back: nothing is found too old by it until
# it has gone steadily for so long. The same after a start, when the clock may not be set yet.
_JUMP = 30.0
_STEADY_FOR = 600.0
_DAY = 86400.0
# A week, and what is compared with it. After that a row for each quarter of an hour must do.
_MINUTES_DAYS = 8.0


class JournalLike(Protocol):
    """What the manager asks of a journal. None of it waits."""

    @property
    def condition(self) -> str:
        """``ok``, ``off``, or what is wrong."""

    def sample(
        self, observation: Observation, duration: float, thought: Thought | None = None
    ) -> None:
        """Remember what a tick saw, how many seconds it took, and what the engine made of it."""

    def note(self, note: Note) -> None:
        """Remember a move or an event."""


class NoJournal:
    """The journal of a manager that keeps none."""

    condition = "off"

    def sample(
        self, observation: Observation, duration: float, thought: Thought | None = None
    ) -> None:
        """Forget it."""

    def note(self, note: Note) -> None:
        """Forget it."""


class Journal:
    """Records in; a file at `path`, written by a thread.

    Ticks are kept for `keep_hours`, then only what they were rolled up to, for `keep_days`, as are
    moves and events; all of it within `keep_size` (bytes). `queue_limit` (bytes) bounds what waits
    to be written; `about` (JSON) is kept with the run until a tick says more of it. `open_file`,
    `retry_after` and `steady_for` are there for tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_hours: float = 48.0,
        keep_days: float = 90.0,
        keep_size: int = 1024 * MIB,
        about: str = "{}",
        queue_limit: int = _QUEUE_LIMIT,
        retry_after: float = _RETRY_AFTER,
        steady_for: float = _STEADY_FOR,
        open_file: Callable[[Path, str], JournalFile] = JournalFile.open,
    ) -> None:
        self.path = path
        self.dropped_samples = 0
        self.dropped_notes = 0
        self._keep_seconds = keep_hours * 3600
        self._keep_days = keep_days
        self._keep_size = keep_size
        self._steady = _SteadyClock(steady_for)
        self._about = about
        self._limit = queue_limit
        self._retry_after = retry_after
        self._open_file = open_file
        self._samples: deque[Waiting] = deque()
        self._notes: deque[Note] = deque()
        self._weight = 0
        self._count = 0
        self._run: tuple[Settings | None, bool, str, str] = (None, False, "", about)
        self._known: State | None = None
        self._known_since = 0.0
        self._trouble = ""
        self._closing = False
        # Guards the queues; held for moments only, never while the disk works.
        self._changed = threading.Condition()
        self._file: JournalFile | None = None
        self._swept = -_SWEEP_EVERY
        self._upkeep_left = False
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

    def sample(
        self, observation: Observation, duration: float, thought: Thought | None = None
    ) -> None:
        """Queue what a tick saw and what was made of it. None of it must be changed afterwards."""
        with self._changed:
            self._count += 1
            waiting = Waiting(observation, duration, self._count)
            if thought is not None:
                self._add_thought(waiting, thought)
            self._samples.append(waiting)
            self._weight += waiting.weight
            self._make_room()
            self._changed.notify()

    def _add_thought(self, waiting: "Waiting", thought: Thought) -> None:
        """Keep with a tick what a replay needs: the state too, where no tick before leads to it."""
        now = waiting.observation.time
        if self._known is None:
            waiting.why = "begin"
        elif thought.before is not self._known:
            waiting.why = "changed"
        elif not 0 <= now - self._known_since < _STATE_EVERY:
            waiting.why = "due"
        if waiting.why:
            waiting.state = thought.before
            self._known_since = now
        self._known = thought.after
        settings, *rest, text = self._run
        if settings is not thought.settings or rest != [thought.manage, thought.policy]:
            text = about(thought.settings, manage=thought.manage, policy=thought.policy)
            self._run = (thought.settings, thought.manage, thought.policy, text)
        waiting.about = text
        waiting.plan = thought.plan

    def note(self, note: Note) -> None:
        """Queue a move or an event."""
        with self._changed:
            self._notes.append(note)
            self._weight += _NOTE_WEIGHT
            self._make_room()
            self._changed.notify()

    def _make_room(self) -> None:
        while self._weight > self._limit and self._samples:
            self._weight -= self._samples.popleft().weight
            self.dropped_samples += 1
            self._known = None  # what follows has to begin anew
        while self._weight > self._limit and self._notes:
            self._notes.popleft()
            self._weight -= _NOTE_WEIGHT
            self.dropped_notes += 1

    # From here on the thread's side.

    def _write_all(self) -> None:
        while (batch := self._take()) is not None:
            samples, notes = batch
            try:
                file = self._opened()
                if samples or notes:
                    file.write([waiting.sample() for waiting in samples], notes)
                samples, notes = [], []  # written, whatever comes of the rest
                self._keep_up(file)
                self._trouble = ""
            except (sqlite3.Error, OSError, UsageError) as error:
                self._report(error)
                self._wait_to_retry(samples, notes)
            except Exception as error:  # noqa: BLE001 - a record that cannot be written must not
                # end the thread, nor be tried for ever.
                self._report(error)
                self._lose(len(samples))
                self.dropped_notes += len(notes)
        self._close_file()

    def _take(self) -> "tuple[list[Waiting], list[Note]] | None":
        """Wait for records and take all there are; None when closing and nothing is left.

        Nothing is taken where it is time to go on with the upkeep.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._samples or self._notes or self._closing,
                _BREATHER if self._upkeep_left else None,
            )
            if self._closing and not self._samples and not self._notes:
                return None
            batch = list(self._samples), list(self._notes)
            self._samples.clear()
            self._notes.clear()
            self._weight = 0
            return batch

    def _opened(self) -> JournalFile:
        if self._file is None:
            self._file = self._open_file(self.path, self._about)
            self._upkeep_left = True
        return self._file

    def _keep_up(self, file: JournalFile) -> None:
        """Do one portion of what is to be done to the file: roll up first, then delete."""
        now = time.monotonic()
        if now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            self._upkeep_left = True
        if not self._upkeep_left or file.catch_up():
            return
        self._upkeep_left = file.sweep(self._keep())

    def _keep(self) -> Keep:
        days = max(self._keep_days * _DAY, self._keep_seconds)
        minutes = max(min(_MINUTES_DAYS * _DAY, days), self._keep_seconds)
        now = time.time() if self._steady.is_steady() else None
        return Keep(self._keep_seconds, minutes, days, self._keep_size, now)

    def _report(self, error: Exception) -> None:
        text = f"journal cannot be written: {clean_text(error)}"
        if text != self._trouble:  # said once, however often it is met again
            log.warning("%s: %s", self.path, text)
        self._trouble = text
        self._close_file()
        if type(error) is sqlite3.DatabaseError:
            # Not a database, or a broken one: trying again would never help, a new file does.
            self._set_aside()

    def _lose(self, samples: int) -> None:
        with self._changed:
            self.dropped_samples += samples
            if samples:
                self._known = None

    def _wait_to_retry(self, samples: "list[Waiting]", notes: list[Note]) -> None:
        """Give up `samples`, put `notes` back, and wait. What fails when closing is given up."""
        self._lose(len(samples))
        with self._changed:
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


@dataclass(slots=True)
class Waiting:
    """A tick that waits to be written; what a thread can make of it later is not made yet."""

    observation: Observation
    duration: float
    number: int
    plan: Plan | None = None
    about: str | None = None
    state: State | None = None
    why: str = ""

    @property
    def weight(self) -> int:
        """About how many bytes it occupies."""
        state = 0 if self.state is None else weigh_state(self.state)
        return weigh(self.observation.guests) + state

    def sample(self) -> Sample:
        """Return it as it is written."""
        return Sample(
            observation=self.observation,
            duration=self.duration,
            decided=None if self.plan is None else Decided.of(self.plan),
            number=self.number,
            about=self.about,
            state=self.state,
            why=self.why,
        )


class _SteadyClock:
    """Tells whether the wall clock has gone steadily for a while."""

    def __init__(self, steady_for: float) -> None:
        self._steady_for = steady_for
        self._offset = time.time() - time.monotonic()
        self._since = time.monotonic()

    def is_steady(self) -> bool:
        """Tell whether it has not jumped for long enough."""
        now, offset = time.monotonic(), time.time() - time.monotonic()
        if abs(offset - self._offset) > _JUMP:
            self._since = now
        self._offset = offset
        return now - self._since >= self._steady_for
