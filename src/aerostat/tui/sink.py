"""Where snapshots are shown, and a thread between that place and the manager.

No rich here: a `Narrator` serves lines of text and JSON too.
"""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Self

from aerostat.daemon.snapshot import MoveRow, Snapshot

# Bound what waits for a reader that does not read: a quarter of an hour at a tick a second, and
# with many guests less, as a row and what it is made of take about 2 KiB.
_WAITING_LIMIT = 900
_ROWS_LIMIT = 30_000


class Sink(AbstractContextManager["Sink"], ABC):
    """Something that shows snapshots. Entered before the first of them, left after the last."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Show one snapshot and the moves since the one before."""


class Narrator:
    """Shows snapshots on a thread of its own, so that showing them delays nobody.

    A terminal that is stopped with Ctrl-S, or a pipe that is not read, blocks this thread alone;
    beyond limits the oldest snapshots are dropped. `on_error` is called once, on that
    thread, with what went wrong there (such as `BrokenPipeError`), and nothing is shown after.
    """

    def __init__(self, sink: Sink, on_error: Callable[[Exception], None]) -> None:
        self._sink = sink
        self._on_error = on_error
        self._waiting: deque[tuple[Snapshot, tuple[MoveRow, ...]]] = deque(maxlen=_WAITING_LIMIT)
        self._changed = threading.Condition()
        self._closing = False
        # A daemon: a write that never ends must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="narrator", daemon=True)

    def start(self) -> None:
        """Start to show."""
        self._thread.start()

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Hand over one snapshot and the moves of its tick; returns at once."""
        with self._changed:
            self._waiting.append((snapshot, tuple(moves)))
            while len(self._waiting) > max(_ROWS_LIMIT // max(len(snapshot.guests), 1), 1):
                self._waiting.popleft()
            self._changed.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Show what waits, within `timeout` seconds, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            with self._sink:
                while (item := self._next()) is not None:
                    self._sink.show(*item)
        except Exception as error:  # noqa: BLE001 - reported; the thread has no other caller
            self._on_error(error)

    def _next(self) -> tuple[Snapshot, tuple[MoveRow, ...]] | None:
        """Return what is to be shown next, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None
