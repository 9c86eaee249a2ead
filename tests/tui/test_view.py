"""The view as text: what is on it, at which width, and that nothing hostile gets through."""

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow, ReservationRow, Snapshot
from aerostat.tui.columns import choose, guest_columns
from aerostat.tui.history import ViewState
from aerostat.tui.picture import to_svg
from aerostat.tui.view import render
from aerostat.units import GIB, MIB

Drawn = Callable[..., str]
Guests = Callable[..., GuestRow]
Snapshots = Callable[..., Snapshot]


def view_of(snapshot: Snapshot, width: int, *moves: MoveRow) -> RenderableType:
    state = ViewState()
    state.add(snapshot, moves)
    return render(state, width)


def row_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f" {name} "))


def test_before_the_first_sample(drawn: Drawn) -> None:
    assert "waiting for the first sample" in drawn(render(ViewState(), 80), 80)


def test_a_guest_on_a_wide_terminal(drawn: Drawn, guest: Guests, snapshot: Snapshots) -> None:
    web = guest(
        major_fault_rate=31.0,
        swap_out_rate=3.0 * MIB,
        pressure=0.37,
        target_size=448 * MIB,
        last_move="gets 64 MiB: it uses 200 MiB",
        last_move_age=3.0,
    )
    text = drawn(view_of(snapshot(web), 170), 170)
    shown = row_of(text, "web").split()
    assert {"512M", "↑448M", "256M", "100M", "120M", "40M", "31", "3M", "37%", "0.4s"} <= set(shown)
    assert "gets 64 MiB: it uses 200 MiB" in row_of(text, "web")


def test_what_80_columns_leave_out(drawn: Drawn, guest: Guests, snapshot: Snapshots) -> None:
    text = drawn(view_of(snapshot(guest()), 80), 80)
    for title in ("GUEST", "MEMORY", "TARGET", "HELD", "AVAIL", "LAST MINUTE", "PRESSURE", "AGE"):
        assert title in text
    for title in ("CACHE", "OUT/s", "WHY"):
        assert title not in text


def test_the_accounts_of_a_host(drawn: Drawn, snapshot: Snapshots) -> None:
    text = drawn(view_of(snapshot(taken=3 * GIB, given=GIB), 120), 120)
    assert "BUDGET 2.0G" in text
    assert "host has 8.0G free" in text
    line = next(line for line in text.splitlines() if "outstanding" in line)
    for entry in ("held 900M", "outstanding 400M", "granted 100M", "spare 648M", "taken 3.0G"):
        assert entry in line
    assert "exposed" not in line


def test_exposure_is_drawn_beyond_the_budget(drawn: Drawn, snapshot: Snapshots) -> None:
    host = HostRow("local", GIB, None, 800 * MIB, 2 * GIB, GIB, GIB, 0, 0)
    text = drawn(view_of(snapshot(hosts=(host,)), 100), 100)
    bar = next(line for line in text.splitlines() if "BUDGET" in line)
    assert re.search(r"▆+▂+│▂+$", bar.rstrip())
    assert "exposed 1.0G" in text


def test_several_hosts_have_names(drawn: Drawn, snapshot: Snapshots) -> None:
    hosts = (HostRow("node0", GIB), HostRow("node1", 2 * GIB))
    text = drawn(view_of(snapshot(hosts=hosts), 100), 100)
    assert "node0  BUDGET 1.0G" in text
    assert "node1  BUDGET 2.0G" in text


@pytest.mark.parametrize(("mode", "words"), [("manage", "MANAGING"), ("observe", "OBSERVING")])
def test_the_mode_is_said(drawn: Drawn, snapshot: Snapshots, mode: str, words: str) -> None:
    text = drawn(view_of(snapshot(mode=mode), 80), 80)
    assert words in text
    assert ("nothing is changed" in text) == (mode == "observe")


@pytest.mark.parametrize("condition", ["stale", "silent", "stuck", "useless", "implausible"])
def test_a_condition_takes_the_place_of_the_gauge(
    drawn: Drawn, guest: Guests, snapshot: Snapshots, condition: str
) -> None:
    text = drawn(view_of(snapshot(guest(condition=condition)), 80), 80)
    assert condition in row_of(text, "web")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"condition": "stuck", "condition_since": 45.0}, ("stuck 45s",)),
        ({"condition": "implausible", "condition_since": 720.0}, ("implausible 12m",)),
        ({"condition": "draining", "condition_since": 2.5, "pressure": None}, ("draining 2.5s",)),
        ({"held_by_operator": True, "pressure": 0.42}, ("on hold", "42%")),
        ({"way": "agent", "last_move": "gives 1 MiB"}, ("by its agent; gives 1 MiB",)),
        ({"pinned": 256 * MIB, "error": "no answer"}, ("set to 256 MiB; no answer",)),
    ],
)
def test_what_must_be_known_of_a_guest_is_told(
    drawn: Drawn,
    guest: Guests,
    snapshot: Snapshots,
    changes: dict[str, object],
    words: tuple[str, ...],
) -> None:
    shown = drawn(view_of(snapshot(guest(**changes)), 200), 200)
    for word in words:
        assert word in shown


def test_reservations_and_the_pressure_of_the_host(drawn: Drawn, snapshot: Snapshots) -> None:
    host = HostRow(
        *("local", 8 * GIB, 4 * GIB, GIB, GIB, 0, 0, 0, 4 * GIB),
        pressure=0.37,
        reserved=3 * GIB,
        reserved_backed=2 * GIB,
    )
    rows = (
        ReservationRow("db2", 2 * GIB, 250.0, backed=True),
        ReservationRow("x\x1b[2J", GIB, 30.0, backed=False),
    )
    shown = drawn(view_of(snapshot(hosts=(host,), reservations=rows), 120), 120)
    assert "pressure 37%" in shown
    assert "reserved 3.0G" in shown
    assert "▪" in shown
    assert "RESERVED   db2 2.0 GiB, there, 4m left   x?[2J 1.0 GiB, not there yet" in shown


def test_guests_in_another_order(drawn: Drawn, guest: Guests, snapshot: Snapshots) -> None:
    rows = [guest("a", pressure=0.1), guest("b", pressure=0.9), guest("c", pressure=0.5)]
    state = ViewState()
    state.add(snapshot(*rows))
    state.sort = "pressure"
    state.help = ("q  end",)
    shown = drawn(render(state, 120, 14), 120)
    places = [shown.index(f"\n {name} ") for name in "bca"]
    assert places == sorted(places)
    assert "by pressure" in shown
    assert shown.rstrip().endswith("q  end")


def test_a_guest_that_was_never_read(drawn: Drawn, snapshot: Snapshots) -> None:
    row = GuestRow("qmp:/run/a.sock", "web", "qmp", error="connection refused")
    shown = row_of(drawn(view_of(snapshot(row), 170), 170), "web")
    assert "unreachable" in shown
    assert "connection refused" in shown


def test_the_newest_move_stands_first(
    drawn: Drawn, guest: Guests, snapshot: Snapshots, move: Callable[..., MoveRow]
) -> None:
    moves = [
        move(time=1000.0),
        move("db", time=1001.0, from_size=256 * MIB, to_size=320 * MIB, sentence="gets 64 MiB"),
        move("ci", time=1002.0, outcome="observed"),
        move("fs", time=1003.0, outcome="failed: timed out"),
    ]
    lines = drawn(view_of(snapshot(guest()), 140, *moves), 140).splitlines()
    log = lines[lines.index(" LAST MOVES") + 1 :]
    assert [line.split()[2] for line in log[:4]] == ["fs", "ci", "db", "web"]
    assert "(failed: timed out)" in log[0]
    assert "(not done: observing)" in log[1]
    assert "↑ db " in log[2]
    assert "256M → 320M" in log[2]
    assert "↓ web" in log[3]


def test_a_narrow_log_leaves_the_sizes_to_the_sentence(
    drawn: Drawn, snapshot: Snapshots, move: Callable[..., MoveRow]
) -> None:
    text = drawn(view_of(snapshot(), 80, move()), 80)
    assert "↓ web  gives 128 MiB: 200 MiB of its 512 MiB lie idle" in text


def test_problems_are_shown(drawn: Drawn, snapshot: Snapshots) -> None:
    shown = snapshot(problems=("qmp: no such directory",), journal="disk full")
    lines = drawn(view_of(shown, 80), 80).splitlines()
    assert [line.strip() for line in lines[-2:]] == [
        "! qmp: no such directory",
        "! the journal: disk full",
    ]


@pytest.mark.parametrize("height", [8, 12, 20, 30])
def test_a_low_terminal_shows_the_guests_in_need(
    drawn: Drawn,
    guest: Guests,
    snapshot: Snapshots,
    move: Callable[..., MoveRow],
    height: int,
) -> None:
    guests = [guest(f"calm{number}") for number in range(30)]
    guests.insert(17, guest("hungry", pressure=0.9))
    state = ViewState()
    state.add(snapshot(*guests), [move() for _ in range(9)])
    text = drawn(render(state, 80, height), 80)
    assert len(text.splitlines()) <= height
    assert "hungry" in text
    assert "calmer ones" in text


HOSTILE = [
    "[red]web[/red]",
    "[/]",
    "a\x1b[31mb\x1b]0;owned\x07",
    "line\nbreak\rreturn\ttab",
    "\u202egnp.exe\u2066",
    "\x9b2J",
    "",
    "x" * 500,
    "漢字" * 40,
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_hostile_guest_is_shown_harmlessly(
    drawn: Drawn,
    guest: Guests,
    snapshot: Snapshots,
    move: Callable[..., MoveRow],
    name: str,
    width: int,
) -> None:
    row = guest(name, error=name, last_move=name, condition="stale")
    host = HostRow(name, GIB)
    shown = snapshot(row, hosts=(host, host), problems=(name,))
    text = drawn(view_of(shown, width, move(name, sentence=name, outcome="failed: " + name)), width)
    for character in text:
        assert character == "\n" or character.isprintable(), hex(ord(character))
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert text.encode()


def test_markup_in_a_name_is_a_name(drawn: Drawn, guest: Guests, snapshot: Snapshots) -> None:
    text = drawn(view_of(snapshot(guest("[red]web[/red]")), 120), 120, color=True)
    assert "[red]web[/red]" in text


maybe_size = st.none() | st.integers(0, 1 << 50)
some_guests = st.builds(
    GuestRow,
    key=st.just("k"),
    name=st.text(max_size=30),
    source=st.just("s"),
    max_size=maybe_size,
    guest_size=maybe_size,
    target_size=maybe_size,
    held=maybe_size,
    pressure=st.none() | st.floats(0, 1),
)
some_hosts = st.builds(
    HostRow,
    name=st.text(max_size=30),
    budget=maybe_size,
    available=maybe_size,
    held=maybe_size,
    permitted=maybe_size,
    granted=maybe_size,
)


@given(width=st.integers(20, 250), guest=some_guests, host=some_hosts)
def test_no_line_is_wider_than_the_terminal(width: int, guest: GuestRow, host: HostRow) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(view_of(Snapshot(1.0, 1.0, hosts=(host,), guests=(guest,)), width))
    assert all(cell_len(line) <= width for line in captured.get().splitlines())


@given(st.integers(0, 300), st.integers(8, 20), st.integers(1, 2))
def test_chosen_columns_fit(width: int, name_width: int, gap: int) -> None:
    columns = choose(guest_columns(name_width), width, gap)
    assert sum(cells + gap for _, cells in columns) - gap <= max(width, 0)
    ranks = sorted(column.rank for column, _ in columns)
    assert ranks == list(range(len(ranks)))


def test_a_picture(guest: Guests, snapshot: Snapshots) -> None:
    svg = to_svg(view_of(snapshot(guest("a<b>&c")), 120), "a <title>", width=120)
    assert svg.startswith("<svg")
    assert "a&lt;b&gt;&amp;c" in svg
    assert "a&#160;&lt;title&gt;" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
