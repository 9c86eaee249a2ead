"""The terminal view: everything that the manager knows, on one screen.

`render` is a pure function of a `ViewState` and a size of the terminal to what rich can draw.
From top to bottom: the mode; each host's budget and accounts; a line a guest; the last moves with
their reasons; what is wrong with the manager itself, if anything.
"""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aerostat.daemon.names import clean_name, clean_text
from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow, Snapshot
from aerostat.tui.bars import (
    CALM,
    EXPOSED,
    GRANTED,
    HELD,
    OUTSTANDING,
    RESERVED,
    Layer,
    layered_bar,
    pressure_style,
)
from aerostat.tui.columns import choose, guest_columns
from aerostat.tui.history import ViewState
from aerostat.tui.states import reservation_words, sort
from aerostat.tui.text import clock, short_size

_WIDE = 110  # cells from which columns stand further apart
_LOG_LINES = 6  # moves shown where the height does not matter
_LOG_LINES_LEAST = 3  # moves for which guests make room
_LOG_LINES_MOST = 16  # moves shown where there is room for more
_PROBLEMS_MOST = 3
_LOG_NAME = 20  # cells, about: of a guest's name in the log
_MARGIN = 1


def render(state: ViewState, width: int, height: int | None = None) -> RenderableType:
    """Return the view for a terminal of `width` cells, and of `height` lines if that is given."""
    snapshot = state.snapshot
    if snapshot is None:
        return Text(" waiting for the first sample …", style="dim")
    header = [_header(state, snapshot, width), Text("")]
    for host in snapshot.hosts:
        header += [*_host(host, snapshot, width), Text("")]
    if snapshot.reservations:
        header += [_reservations(snapshot), Text("")]
    problems = [_problem(text) for text in _problems(snapshot)[:_PROBLEMS_MOST]]
    problems += [Text(line, style="dim", no_wrap=True) for line in state.help]
    rows, log_lines = _share_lines(
        len(snapshot.guests), len(state.moves), _room(height, header, problems)
    )
    parts: list[RenderableType] = [*header, _guests(state, snapshot, width, rows)]
    if rows < len(snapshot.guests):
        others = "calmer ones" if state.sort == "name" else "more"
        parts.append(Text(f" … and {len(snapshot.guests) - rows} {others}", style="dim"))
    return Group(*parts, *_log(state, width, log_lines), *problems)


def _room(height: int | None, header: list[Text], problems: list[Text]) -> int | None:
    """Return the lines left for guests and moves."""
    if height is None:
        return None
    titles_and_gaps = 4  # the table's title, "and N calmer ones", a gap, the log's title
    return max(height - len(header) - len(problems) - titles_and_gaps, 1)


def _share_lines(guests: int, moves: int, room: int | None) -> tuple[int, int]:
    """Return how many guests and how many moves are shown in `room` lines."""
    if room is None:
        return guests, min(moves, _LOG_LINES)
    log = min(moves, max(_LOG_LINES_LEAST, min(room - guests, _LOG_LINES_MOST)))
    rows = min(guests, max(room - log, 1))
    return rows, min(log, room - rows)


def _header(state: ViewState, snapshot: Snapshot, width: int) -> Text:
    managing = snapshot.mode == "manage"
    count = len(snapshot.guests)
    left = Text.assemble(
        " ",
        ("aerostat", "bold"),
        "  ",
        ("● MANAGING", "bold green") if managing else ("○ OBSERVING", "bold yellow"),
        "" if managing else ("  nothing is changed", "yellow"),
        (f"  {count} {state.noun}{'s' if count != 1 else ''}", ""),
    )
    facts = [clock(state.elapsed)]
    if state.sort != "name":
        facts.insert(0, f"by {state.sort}")
    if width >= 100:
        facts.insert(0, f"tick {snapshot.tick_duration * 1000:.0f} ms")
    if snapshot.moves:
        facts.insert(0, f"{snapshot.moves} move{'s' if snapshot.moves != 1 else ''}")
    right = Text(" · ".join(facts), style="dim")
    space = width - left.cell_len - right.cell_len - _MARGIN
    return Text.assemble(left, " " * space, right) if space > 1 else left


def _host(host: HostRow, snapshot: Snapshot, width: int) -> Iterable[Text]:
    """Yield a host's budget as a bar, and its accounts as the key to the bar's colours."""
    several = len(snapshot.hosts) > 1
    name = f"{clean_name(host.name)}  " if several else ""
    title = Text.assemble(
        " ", (name, "bold"), ("BUDGET ", "dim"), (short_size(host.budget), "bold"), "  "
    )
    after = Text("")
    if host.available is not None:
        after.append_text(
            Text.assemble(("  host has ", "dim"), short_size(host.available), (" free", "dim"))
        )
    if host.pressure is not None:
        style = pressure_style(host.pressure) if host.pressure >= CALM else ""
        after.append_text(Text.assemble(("  pressure ", "dim"), (f"{host.pressure:.0%}", style)))
    room = width - title.cell_len - after.cell_len - _MARGIN
    yield Text.assemble(title, _account_bar(host, max(room, 8)), after, no_wrap=True)
    yield _account_key(host, snapshot, width)


def _account_bar(host: HostRow, width: int) -> Text:
    """Return held, outstanding, granted and reserved memory against the budget.

    What exceeds it is red.
    """
    budget, permitted, held = host.budget or 0, host.permitted or 0, host.held or 0
    within = min(permitted, budget) if budget else permitted
    layers = [
        Layer(held, HELD),
        Layer(min(permitted - (host.granted or 0), within), OUTSTANDING),
        Layer(within, GRANTED),
        Layer(min(permitted + host.reserved_backed, budget), RESERVED),
        Layer(permitted, EXPOSED),
    ]
    over = budget if budget and max(permitted, held) > budget else None
    return layered_bar(width, max(budget, permitted, held), layers, over)


def _account_key(host: HostRow, snapshot: Snapshot, width: int) -> Text:
    entries = [
        ("held", host.held, HELD),
        ("outstanding", host.outstanding, OUTSTANDING),
        ("granted", host.granted, GRANTED),
        ("reserved", host.reserved or None, RESERVED),
        ("spare", host.spare, ("·", "dim")),
        ("exposed", host.exposure or None, EXPOSED),
        ("taken", snapshot.taken or None, ("↓", "dim")),
        ("given", snapshot.given or None, ("↑", "dim")),
    ]
    line = Text(" ", no_wrap=True)
    for label, size, ink in entries:
        if size is None:
            continue
        entry = Text.assemble(ink, (f" {label} ", "dim"), short_size(size), "   ")
        if line.cell_len + entry.cell_len - 3 <= width:
            line.append_text(entry)
    return line


def _reservations(snapshot: Snapshot) -> Text:
    """Return who has room reserved, how much, and whether it is there."""
    line = Text(" RESERVED", style="dim", no_wrap=True, overflow="ellipsis")
    for row in snapshot.reservations:
        line.append(f"   {reservation_words(row)}", style="magenta" if row.backed else "yellow")
    return line


def _guests(state: ViewState, snapshot: Snapshot, width: int, rows: int) -> Padding:
    """Return the table of guests; if there is room for a few only, of those most in need."""
    if state.sort == "name":
        guests = _most_pressed(snapshot.guests, rows)
    else:
        guests = sort(snapshot.guests, state.sort)[:rows]
    gap = 2 if width >= _WIDE else 1
    longest = max((len(clean_name(guest.name)) for guest in snapshot.guests), default=0)
    columns = choose(guest_columns(min(max(longest, 8), 20)), width - 2 * _MARGIN, gap)
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for column, cells in columns:
        table.add_column(
            column.title,
            width=cells,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if column.right else "left",
        )
    for guest in guests:
        table.add_row(*(column.cell(guest, state, cells) for column, cells in columns))
    return Padding(table, (0, 0, 0, _MARGIN), expand=False)


def _most_pressed(guests: Sequence[GuestRow], rows: int) -> Sequence[GuestRow]:
    """Return `rows` of the guests, those under most pressure, in their usual order."""
    if rows >= len(guests):
        return guests
    ranked = sorted(guests, key=lambda guest: guest.pressure or 0.0, reverse=True)
    kept = {guest.key for guest in ranked[:rows]}
    return tuple(guest for guest in guests if guest.key in kept)


def _log(state: ViewState, width: int, lines: int) -> Iterable[Text]:
    """Yield the newest moves, the last one first, older ones fainter."""
    if not lines:
        return
    newest = list(state.moves)[: -lines - 1 : -1]
    name_width = max(cell_len(clean_name(move.name, _LOG_NAME)) for move in newest)
    yield Text("\n LAST MOVES", style="dim")
    for place, move in enumerate(newest):
        when = clock(move.time - state.started)
        yield Text.assemble(
            (f" {when} ", "dim"),
            move_line(move, name_width, sizes=width >= _WIDE, faint=place >= _LOG_LINES_LEAST),
            no_wrap=True,
            overflow="ellipsis",
        )


def move_line(
    move: MoveRow, name_width: int = 0, *, sizes: bool = True, faint: bool = False
) -> Text:
    """Return one move as a sentence: whose, from what to what (unless not `sizes`), and why."""
    grows = move.to_size > move.from_size
    line = Text("", style="dim" if faint else "", no_wrap=True, overflow="ellipsis")
    line.append("↑ " if grows else "↓ ", style="green" if grows else "cyan")
    name = clean_name(move.name, _LOG_NAME)
    line.append(set_cell_size(name, max(name_width, cell_len(name))), style="bold")
    if sizes:
        line.append(f"  {short_size(move.from_size):>5} → {short_size(move.to_size):<5}")
    line.append("  ")
    line.append(clean_text(move.sentence))
    if move.outcome == "observed":
        line.append("  (not done: observing)", style="yellow")
    elif move.outcome.startswith("failed"):
        line.append(f"  ({clean_text(move.outcome)})", style="red")
    return line


def _problems(snapshot: Snapshot) -> tuple[str, ...]:
    """Return what is wrong with the manager itself."""
    if snapshot.journal in {"ok", "off"}:
        return snapshot.problems
    return (*snapshot.problems, f"the journal: {snapshot.journal}")


def _problem(text: str) -> Text:
    return Text(f" ! {clean_text(text)}", style="yellow", no_wrap=True, overflow="ellipsis")
