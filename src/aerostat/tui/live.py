"""The live view: a whole terminal, drawn anew with each snapshot."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.tui.history import ViewState
from aerostat.tui.sink import Sink
from aerostat.tui.view import render


def can_draw(console: Console) -> bool:
    """Say whether `console` is a terminal on which a live view makes sense."""
    return console.is_terminal and not console.is_dumb_terminal


class LiveView(Sink):
    """The view on a whole terminal; the last picture stays behind when it ends.

    `noun` is what a guest is called.
    """

    def __init__(self, console: Console, noun: str = "guest") -> None:
        self.state = ViewState(noun=noun)
        self._console = console
        self._live = Live(self, console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        if self.state.snapshot is not None:
            self._console.print(render(self.state, self._console.width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the view for the size that the terminal has now."""
        yield render(self.state, options.max_width, options.height or console.height)

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Draw the view anew."""
        self.state.add(snapshot, moves)
        self.redraw()

    def redraw(self) -> None:
        """Draw what was shown last, for a state or a terminal that has changed."""
        self._live.refresh()
