"""Live view, lines, and the thread that keeps a slow terminal from the manager."""

import io
import json
import os
import threading
from collections.abc import Callable, Sequence

from rich.console import Console

from aerostat.daemon.snapshot import GuestRow, MoveRow, Snapshot
from aerostat.tui.lines import JsonLines, PlainLines
from aerostat.tui.live import LiveView, can_draw
from aerostat.tui.sink import Narrator, Sink
from aerostat.units import MIB

Guests = Callable[..., GuestRow]
Snapshots = Callable[..., Snapshot]
Moves = Callable[..., MoveRow]


def terminal(stream: io.StringIO, **environment: str) -> Console:
    return Console(
        file=stream,
        width=100,
        height=24,
        force_terminal=True,
        _environ={"TERM": "xterm-256color"} | environment,
        legacy_windows=False,
    )


def test_a_live_view_leaves_its_last_picture(guest: Guests, snapshot: Snapshots) -> None:
    stream = io.StringIO()
    with LiveView(terminal(stream)) as view:
        view.show(snapshot(guest("first")))
        view.show(snapshot(guest("second"), time=1001.0))
    text = stream.getvalue()
    alternate_screen_left = "\x1b[?1049l"
    assert "first" in text
    assert "second" in text.split(alternate_screen_left)[-1]


def test_no_color_leaves_colours_out(guest: Guests, snapshot: Snapshots) -> None:
    stream = io.StringIO()
    with LiveView(terminal(stream, NO_COLOR="1")) as view:
        view.show(snapshot(guest(pressure=0.9)))
    colours = ("\x1b[3", "\x1b[1;3", "\x1b[2;3", "\x1b[9")
    assert not any(code in stream.getvalue() for code in colours)
    assert "90%" in stream.getvalue()


def test_where_a_view_makes_sense() -> None:
    assert can_draw(terminal(io.StringIO()))
    assert not can_draw(terminal(io.StringIO(), TERM="dumb"))
    assert not can_draw(Console(file=io.StringIO()))


def test_lines_say_moves_and_now_and_then_the_whole(
    guest: Guests, snapshot: Snapshots, move: Moves
) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream, every=10.0)
    for second in range(21):
        moves = [move(time=1003.0)] if second == 3 else []
        lines.show(
            snapshot(guest(pressure=0.4), time=1000.0 + second, problems=("disk full",)), moves
        )
    shown = stream.getvalue().splitlines()
    assert [line.split()[0] for line in shown] == ["00:00", "00:00", "00:03", "00:10", "00:20"]
    assert shown[0].startswith("00:00 observing; 1 guest; budget 2.0 GiB, held 900 MiB")
    assert "web under pressure (40%)" in shown[0]
    assert shown[1] == "00:00 ! disk full"
    assert "↓ web" in shown[2]
    assert "gives 128 MiB" in shown[2]


def test_lines_are_single_lines(guest: Guests, snapshot: Snapshots, move: Moves) -> None:
    stream = io.StringIO()
    hostile = "a\nb\x1b[2J"
    lines = PlainLines(stream)
    row = guest(hostile, pressure=1.0)
    lines.show(snapshot(row, problems=(hostile,)), [move(hostile, sentence=hostile)])
    assert len(stream.getvalue().splitlines()) == 3
    assert "\x1b" not in stream.getvalue()


def test_json_lines_read_back(guest: Guests, snapshot: Snapshots) -> None:
    stream = io.StringIO()
    shown = snapshot(guest("we[b]\n"), guest("dÿ\ud800"))
    JsonLines(stream).show(shown)
    assert stream.getvalue().count("\n") == 1
    assert Snapshot.from_json(json.loads(stream.getvalue())).guests[0] == shown.guests[0]


class Collector(Sink):
    """Keeps what it is shown; waits before each until it may."""

    def __init__(self) -> None:
        self.shown: list[float] = []
        self.left = False
        self.may = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.left = True

    def show(self, snapshot: Snapshot, moves: Sequence[MoveRow] = ()) -> None:
        self.may.wait(30)
        self.shown.append(snapshot.time)


def test_a_narrator_shows_everything_in_order_and_leaves(snapshot: Snapshots) -> None:
    sink = Collector()
    sink.may.set()
    narrator = Narrator(sink, on_error=lambda error: None)
    narrator.start()
    for time in range(50):
        narrator.show(snapshot(time=float(time)))
    narrator.close(30)
    assert sink.shown == [float(time) for time in range(50)]
    assert sink.left


def test_a_blocked_terminal_blocks_nobody_and_the_oldest_is_dropped(snapshot: Snapshots) -> None:
    sink = Collector()
    narrator = Narrator(sink, on_error=lambda error: None)
    narrator.start()
    shown = snapshot()
    for _ in range(5000):
        narrator.show(shown)  # returns although nothing is shown
    narrator.show(snapshot(time=7.0))
    narrator.close(0.0)
    assert not sink.left
    sink.may.set()
    narrator.close(30)
    assert len(sink.shown) < 1000
    assert sink.shown[-1] == 7.0


def test_of_many_guests_fewer_snapshots_wait(guest: Guests, snapshot: Snapshots) -> None:
    sink = Collector()
    narrator = Narrator(sink, on_error=lambda error: None)
    crowd = (guest(),) * 10_000
    for time in range(20):
        narrator.show(snapshot(time=float(time), guests=crowd))
    sink.may.set()
    narrator.start()
    narrator.close(30)
    assert sink.shown == [17.0, 18.0, 19.0]


def test_a_closed_pipe_is_reported_once(snapshot: Snapshots) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    errors: list[Exception] = []
    with open(write_end, "w", encoding="utf-8", buffering=1) as stream:  # noqa: PTH123
        narrator = Narrator(PlainLines(stream), on_error=errors.append)
        narrator.start()
        narrator.show(snapshot())
        narrator.show(snapshot(time=2000.0))
        narrator.close(30)
        # What could not be written is still buffered; let it go, so that closing succeeds.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    assert [type(error) for error in errors] == [BrokenPipeError]


def test_a_narrator_that_was_never_started_closes() -> None:
    narrator = Narrator(Collector(), on_error=lambda error: None)
    narrator.close()


def test_sizes_in_a_move_line_up(snapshot: Snapshots, move: Moves) -> None:
    stream = io.StringIO()
    PlainLines(stream).show(snapshot(), [move(from_size=1024 * MIB, to_size=96 * MIB)])
    assert " 1.0G → 96M " in stream.getvalue()
