"""A picture of the view at its liveliest moment. Touches no file."""

from collections.abc import Sequence
from typing import Self

from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.tui.history import SPAN, ViewState
from aerostat.tui.picture import to_svg
from aerostat.tui.sink import Sink
from aerostat.tui.view import render

_WIDTH = 140
_RECENT = 8.0  # seconds within which a move counts as lively


class Recorder(Sink):
    """Passes on to another sink, and keeps the SVG of the liveliest moment so far."""

    def __init__(self, sink: Sink, noun: str = "guest") -> None:
        self.svg: str | None = None
        self._sink = sink
        self._state = ViewState(noun=noun)
        self._best = 0.0

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.__exit__(None, None, None)

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        """Show a snapshot, and draw it if it is livelier than all before."""
        self._sink.show(snapshot, moves)
        self._state.add(snapshot, moves)
        lively = liveliness(self._state)
        if lively > self._best:
            self._best = lively
            self.svg = to_svg(render(self._state, _WIDTH), "aerostat demo", width=_WIDTH)


def liveliness(state: ViewState) -> float:
    """Return how much a picture would tell: guests that moved just now, and a history to see."""
    if state.snapshot is None:
        return 0.0
    since = state.snapshot.time - _RECENT
    recent = [move for move in state.moves if move.time >= since]
    grown = {move.key for move in recent if move.to_size > move.from_size}
    shrunk = {move.key for move in recent if move.to_size < move.from_size}
    history = min(state.elapsed / SPAN, 1.0)
    # A guest that grows at another's cost is what there is to see.
    return len(grown) + len(shrunk) + 2.0 * min(len(grown), len(shrunk)) + 4.0 * history
