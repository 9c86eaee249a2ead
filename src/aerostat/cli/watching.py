"""A running manager, looked at again and again: for ``top``."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click
from rich.console import Console

from aerostat.cli import report
from aerostat.cli.rows import to_snapshot
from aerostat.daemon.api.client import Client
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.errors import LinkError
from aerostat.tui.keys import Keys
from aerostat.tui.lines import beginning
from aerostat.tui.live import LiveView
from aerostat.tui.states import SORTS, sort, worries

_NEWEST_MOVES = 50
_KEYS = (
    " q  end          s  next order          h  this help          space  look now",
    " MEMORY: ▆ held, ▂ permitted but not held, · in the balloon, │ the target",
)


class Feed:
    """What the manager shows, every `delay` seconds, at most `count` times."""

    def __init__(self, client: Client, delay: float, count: int | None) -> None:
        self.delay = delay
        self._client = client
        self._count = count
        self._looks = 0
        self._newest_move = -1.0

    @property
    def more(self) -> bool:
        """Say whether there are looks left."""
        return self._count is None or self._looks < self._count

    def look(self) -> Snapshot:
        """Return what the manager shows now. Raises as `Client` does."""
        self._looks += 1
        return to_snapshot(self._client.snapshot())

    def moves(self) -> Sequence[MoveRow]:
        """Return the moves since this was asked last, the newest last."""
        rows = [MoveRow(**row) for row in reversed(self._client.moves(_NEWEST_MOVES))]
        fresh = [row for row in rows if row.time > self._newest_move]
        self._newest_move = max((row.time for row in fresh), default=self._newest_move)
        return fresh

    def __iter__(self) -> Iterator[Snapshot]:
        due = time.monotonic()
        while self.more:
            yield self.look()
            due = max(due + self.delay, time.monotonic())
            if self.more:
                time.sleep(max(due - time.monotonic(), 0.0))


def text_frames(feed: Feed, by: str) -> None:
    """Print tables, one below the other."""
    for number, snapshot in enumerate(feed):
        head = "; ".join([*beginning(snapshot), *worries(snapshot)])
        gap = "\n" if number else ""
        click.echo(f"{gap}{report.rfc3339(snapshot.wall)}  {head}")
        click.echo(report.list_table(sort(snapshot.guests, by)))
        for line in report.house_lines(snapshot):
            click.echo(line)


def csv_frames(feed: Feed, by: str) -> None:
    """Print a line of titles, and a line a guest at each look."""
    for number, snapshot in enumerate(feed):
        rows = sort(snapshot.guests, by)
        click.echo(report.csv_text(rows, snapshot.wall, titles=not number), nl=bool(rows))


def json_frames(feed: Feed) -> None:
    """Print a line a look."""
    for snapshot in feed:
        click.echo(report.json_line(**snapshot.to_json()))


def watch(feed: Feed, console: Console, by: str) -> None:
    """Draw the view on the whole terminal, until a key ends it or there are no looks left."""
    snapshot, moves = feed.look(), feed.moves()  # before the screen is taken: there may be nobody
    with LiveView(console) as view, Keys() as keys:
        view.state.sort = by
        while True:
            view.show(snapshot, moves)
            if not feed.more or not _pass_time(feed.delay, view, keys):
                return
            try:
                snapshot, moves = feed.look(), feed.moves()
            except LinkError as error:  # it may be started again: wait, and say so
                snapshot, moves = replace(snapshot, problems=(str(error),)), ()


def _pass_time(delay: float, view: LiveView, keys: Keys) -> bool:
    """Obey keys for `delay` seconds, or until a new look is wanted; return False to end."""
    until = time.monotonic() + delay
    while (left := until - time.monotonic()) > 0:
        match keys.wait(left):
            case "q" | "Q" | "\x04":
                return False
            case " ":
                return True
            case "h" | "H" | "?":
                view.state.help = () if view.state.help else _KEYS
            case "s" | "S":
                orders = list(SORTS)
                place = orders.index(view.state.sort)
                view.state.sort = orders[(place + 1) % len(orders)]
            case _:
                continue
        view.redraw()
    return True
