"""The columns of the table of guests, and which of them fit a terminal.

Pure functions of a `GuestRow` to `rich.text.Text`. Names and sentences come from guests and
VMMs: they become text, never markup, and are cleaned of controls once more here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from aerostat.daemon.names import clean_name, clean_text
from aerostat.daemon.snapshot import GuestRow
from aerostat.tui.bars import gauge, pressure_style, size_bar, sparkline
from aerostat.tui.history import ViewState
from aerostat.tui.states import EXEMPT, FRESH, ON_HOLD, condition_word, condition_words, marks
from aerostat.tui.text import ABSENT, short_age, short_rate, short_size

_RESTING = {EXEMPT, ON_HOLD}  # no reason to worry
_FAULTS_UNEASY = 20.0  # major faults a second at which the figure is coloured
_SWAP_UNEASY = 1 << 20  # bytes a second


@dataclass(frozen=True, slots=True)
class Column:
    """A column; the smaller `rank` is, the narrower the terminal on which it is still shown."""

    title: str
    rank: int
    width: int
    cell: Callable[[GuestRow, ViewState, int], Text]
    widest: int = 0  # it may grow up to this; 0: it does not grow
    right: bool = True


def choose(columns: Sequence[Column], width: int, gap: int) -> list[tuple[Column, int]]:
    """Return the columns that fit `width` cells, in order, each with its width.

    They are taken by rank until one does not fit; what is left over widens those that may grow,
    by rank too.
    """
    chosen: dict[str, int] = {}
    left = width + gap
    ranked = sorted(columns, key=lambda column: column.rank)
    for column in ranked:
        if column.width + gap > left:
            break
        chosen[column.title] = column.width
        left -= column.width + gap
    for column in ranked:
        if column.title in chosen and column.widest > column.width:
            more = min(column.widest - column.width, left)
            chosen[column.title] += more
            left -= more
    return [(column, chosen[column.title]) for column in columns if column.title in chosen]


def guest_columns(name_width: int) -> tuple[Column, ...]:
    """Return all columns in the order in which they are shown."""
    return (
        Column("GUEST", 0, 8, _name, name_width, right=False),
        Column("MEMORY", 1, 12, _memory, 18, right=False),
        Column("MAX", 10, 5, _size_of("max_size")),
        Column("TARGET", 2, 6, _target),
        Column("HELD", 3, 5, _size_of("held")),
        Column("FREE", 8, 5, _size_of("free_memory")),
        Column("AVAIL", 6, 5, _size_of("available_memory")),
        Column("CACHE", 9, 5, _size_of("disk_caches")),
        Column("FLT/s", 11, 5, _faults),
        Column("OUT/s", 12, 5, _swap_out),
        Column("LAST MINUTE", 7, 12, _sparks, 15, right=False),
        Column("PRESSURE", 4, 11, _pressure, 16, right=False),
        Column("AGE", 5, 4, _age),
        Column("LAST MOVE, AND WHY", 13, 24, _note, 90, right=False),
    )


def _plain(text: str, style: str = "") -> Text:
    return Text(text, style=style if text != ABSENT else "dim", no_wrap=True, overflow="ellipsis")


def _name(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    return _plain(clean_name(guest.name), "bold")


def _memory(guest: GuestRow, _state: ViewState, width: int) -> Text:
    return size_bar(
        width,
        max_size=guest.max_size,
        guest_size=guest.guest_size,
        held=guest.held,
        target_size=guest.target_size,
    )


def _size_of(attribute: str) -> Callable[[GuestRow, ViewState, int], Text]:
    def cell(guest: GuestRow, _state: ViewState, _width: int) -> Text:
        return _plain(short_size(getattr(guest, attribute)))

    return cell


def _target(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    """Show the size asked for, with an arrow while the guest is on its way there."""
    shown = short_size(guest.target_size)
    if guest.target_size is None or guest.guest_size is None or guest.max_size is None:
        return _plain(shown)
    ahead = guest.target_size - guest.guest_size
    if abs(ahead) * 100 < guest.max_size:
        return _plain(shown)
    return _plain(("↑" if ahead > 0 else "↓") + shown, "yellow")


def _faults(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    return _rate(guest.major_fault_rate, short_rate(guest.major_fault_rate), _FAULTS_UNEASY)


def _swap_out(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    return _rate(guest.swap_out_rate, short_size(guest.swap_out_rate), _SWAP_UNEASY)


def _rate(rate: float | None, shown: str, uneasy: float) -> Text:
    if not rate:
        return _plain(shown, "dim")
    return _plain(shown, "yellow" if rate >= uneasy else "")


def _sparks(guest: GuestRow, state: ViewState, width: int) -> Text:
    return sparkline(state.sparks(guest.key, width))


def _pressure(guest: GuestRow, _state: ViewState, width: int) -> Text:
    """Show the gauge or, where its figure is not all that counts, the word that says why.

    With the word comes for how long, or the figure, as far as there is room.
    """
    word, longer = condition_word(guest), condition_words(guest)
    if word == FRESH:
        return gauge(width, guest.pressure)
    style = "dim" if word in _RESTING else "yellow"
    shown = longer if len(longer) <= width else word
    if guest.pressure is None or len(shown) + 5 > width:
        return _plain(shown.ljust(width)[:width], style)
    percentage = (f"{guest.pressure:.0%}".rjust(width - len(shown)), pressure_style(guest.pressure))
    return Text.assemble((shown, style), percentage, no_wrap=True)


def _age(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    return _plain(short_age(guest.sample_age), "dim" if guest.condition == FRESH else "yellow")


def _note(guest: GuestRow, _state: ViewState, _width: int) -> Text:
    said = "".join(f"{mark}; " for mark in marks(guest))
    if guest.error is not None:
        return _plain(said + clean_text(guest.error), "yellow")
    if guest.last_move is None:
        return _plain(said.removesuffix("; "))
    age = f"{short_age(guest.last_move_age):>4}  " if guest.last_move_age is not None else ""
    return Text.assemble((age, "dim"), said, clean_text(guest.last_move), no_wrap=True)
