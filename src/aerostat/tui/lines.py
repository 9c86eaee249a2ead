"""Showing a run as lines: of text for logs and dumb terminals, of JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from typing import TextIO

from aerostat.daemon.names import clean_name, clean_text
from aerostat.daemon.snapshot import HostRow, MoveRow, Snapshot
from aerostat.tui.bars import CALM
from aerostat.tui.sink import Sink
from aerostat.tui.states import reservation_words, worries
from aerostat.tui.text import clock
from aerostat.tui.view import move_line
from aerostat.units import format_size


class PlainLines(Sink):
    """A line a move, and a line on the whole every so many seconds."""

    def __init__(self, stream: TextIO, every: float = 10.0) -> None:
        self._stream = stream
        self._every = every
        self._started: float | None = None
        self._summary_due = 0.0
        self._problems: tuple[str, ...] = ()

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Print what is new."""
        if self._started is None:
            self._started = self._summary_due = snapshot.time
        for move in moves:
            self._print(move.time, move_line(move).plain)
        if snapshot.time >= self._summary_due:
            self._summary_due = snapshot.time + self._every
            self._print(snapshot.time, summary_line(snapshot))
        for problem in snapshot.problems:
            if problem not in self._problems:
                self._print(snapshot.time, f"! {clean_text(problem)}")
        self._problems = snapshot.problems

    def _print(self, time: float, text: str) -> None:
        elapsed = time - self._started if self._started is not None else 0.0
        print(clock(elapsed), text, file=self._stream, flush=True)


class JsonLines(Sink):
    """One JSON object a snapshot, in the schema of the manager's API."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:  # noqa: ARG002 - the snapshot tells of them
        """Print one line."""
        print(json.dumps(snapshot.to_json()), file=self._stream, flush=True)


def summary_line(snapshot: Snapshot) -> str:
    """Return a snapshot in one line: the mode, the accounts, guests in need, and reservations."""
    parts = list(beginning(snapshot))
    parts += [text for host in snapshot.hosts if (text := accounts(host))]
    parts += [
        f"{clean_name(guest.name)} under pressure ({guest.pressure:.0%})"
        for guest in snapshot.guests
        if guest.pressure is not None and guest.pressure >= CALM
    ]
    parts += worries(snapshot)
    parts += [f"reserved for {reservation_words(row)}" for row in snapshot.reservations]
    return "; ".join(parts)


def beginning(snapshot: Snapshot) -> Iterator[str]:
    """Yield the mode, and how many guests there are."""
    count = len(snapshot.guests)
    yield "managing" if snapshot.mode == "manage" else "observing"
    yield f"{count} guest{'s' if count != 1 else ''}"


def accounts(host: HostRow) -> str:
    """Return what is known of a host: ``budget 24 GiB, held 10 GiB, …``."""
    amounts = {
        "budget": host.budget,
        "held": host.held,
        "permitted": host.permitted,
        "spare": host.spare,
        "exposed": host.exposure or None,
    }
    known = [f"{name} {format_size(size)}" for name, size in amounts.items() if size is not None]
    if host.reserved:
        there = format_size(host.reserved_backed)
        known.append(f"reserved {format_size(host.reserved)} ({there} of it there)")
    if host.pressure is not None:
        known.append(f"pressure {host.pressure:.0%}")
    return ", ".join(known)
