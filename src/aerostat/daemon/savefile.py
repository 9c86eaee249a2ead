"""What a manager leaves for the next one: its state, and the lock that keeps it alone.

The state file is JSON, replaced atomically, so that a manager killed at any moment leaves a
whole one. It is written by a thread: a disk that hangs holds up nobody. Touches the state
directory.
"""

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from aerostat.daemon.lingering import Remembered, restored
from aerostat.daemon.names import clean_text
from aerostat.daemon.orders import Orders
from aerostat.engine.state import State
from aerostat.errors import UsageError

log = logging.getLogger(__name__)

VERSION = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A file larger than this was not written by us; bounds what a start reads into memory.
_LARGEST_FILE = 256 << 20
# A writing that takes longer is said.
_SLOW = 5.0


class Lock:
    """The right to be the only manager of a state directory; given up when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take it; raises `UsageError` where another manager has it, or it cannot be taken."""
        path = directory / "manager.lock"
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; choose another state_directory") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise UsageError(
                f"another manager (process {holder or 'unknown'}) works with {directory};"
                " stop it, or give this one a state_directory of its own"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give it up. The file stays: removing it would let two managers hold one each."""
        os.close(self._descriptor)


class Saved(NamedTuple):
    """What one manager leaves for the next: what it learned, what it was told, whom it saw."""

    state: State
    orders: Orders
    guests: Sequence[Remembered]


class SaveFile:
    """The state file at `path`. `problem` is what is wrong with it, or ""."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting: Callable[[], None] | None = None
        self._writing = False
        self._began = 0.0

    def load(self, now: float) -> Saved:
        """Return what was saved; nothing where nothing was.

        `now` is monotonic seconds. A file that cannot be used is kept aside, said in the log, and
        otherwise ignored. What was learned before the host restarted is about guests that are gone,
        and is dropped; orders are an operator's word and stay.
        """
        try:
            saved = self._read()
            if saved["boot"] == boot_id():
                state = State.from_dict(saved["engine"])
                return Saved(state, Orders.from_dict(saved, now), restored(saved.get("guests", [])))
            return Saved(State.empty(), Orders.from_dict(saved, None), [])
        except FileNotFoundError:
            return Saved(State.empty(), Orders(), [])
        except Exception as error:  # noqa: BLE001 - whatever is in it, a manager must start
            self._set_aside(error)
            return Saved(State.empty(), Orders(), [])

    def _read(self) -> Any:
        if self.path.stat().st_size > _LARGEST_FILE:
            raise UsageError("it is far too large")
        saved = json.loads(self.path.read_bytes())
        if saved["version"] != VERSION:
            raise UsageError(f"it has version {saved['version']}, not {VERSION}")
        return saved

    def save(self, what: Saved) -> None:
        """Write it all in the background: now, or when the writing under way is done.

        Of what has come meanwhile only the newest is written.
        """
        # Orders change; the rest does not, and is made into text where nobody waits for it.
        with self._lock:
            self._waiting = partial(self._write, what.state, what.orders.to_dict(), what.guests)
            if self._writing:
                if time.monotonic() - self._began > _SLOW:
                    self.problem = f"{self.path}: the disk is slow"
                return
            self._writing = True
            self._began = time.monotonic()
        self._writer = threading.Thread(target=self._write_all, name="state", daemon=True)
        self._writer.start()

    def finish(self, limit: float) -> None:
        """Wait for the writing under way, at most `limit` seconds."""
        if self._writer is not None:
            self._writer.join(limit)

    def _write_all(self) -> None:
        """Write what waits, until nothing does."""
        while True:
            with self._lock:
                write, self._waiting = self._waiting, None
                if write is None:
                    self._writing = False
                    return
                self._began = time.monotonic()
            write()

    def _write(self, state: State, orders: Mapping[str, Any], guests: Sequence[Remembered]) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            saved = {"version": VERSION, "boot": boot_id(), "engine": state.to_dict(), **orders}
            # A connector's own key may hold what is no Unicode; of the rest there is more.
            saved["guests"] = msgspec.Raw(json.dumps(guests).encode("ascii"))
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(saved))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self.problem = ""
        except Exception as error:  # noqa: BLE001 - a full disk, no memory: it is tried again
            text = f"{self.path}: cannot be written: {clean_text(error)}"
            if text != self.problem:
                log.warning("%s", text)
            self.problem = text

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(self.path.name + ".bad")
        log.warning("%s: cannot be used, kept as %s: %s", self.path, aside.name, clean_text(error))
        with contextlib.suppress(OSError):
            self.path.replace(aside)


def boot_id() -> str:
    """Return what tells this start of the host from all others; "" where that is not known."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
