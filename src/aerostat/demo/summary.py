"""The end of a demonstration: what came of it, for people and for programs. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aerostat.demo.outcome import GuestOutcome, Outcome
from aerostat.units import format_size

SCHEMA = 1


def to_json(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Return the first outcome as plain values, with the others beside it to compare."""
    first, *others = outcomes
    compare = {outcome.name: outcome.to_json() for outcome in others}
    return {"schema": SCHEMA, "seed": seed, **first.to_json(), "compare": compare or None}


def render(outcomes: Sequence[Outcome]) -> RenderableType:
    """Return what came of the trials: a table of guests for the first, then all side by side."""
    return Group(
        Text(""),
        _guests(outcomes[0]),
        Text(""),
        _figures(outcomes),
        Text(""),
        *(_verdict(outcome) for outcome in outcomes),
    )


def _guests(outcome: Outcome) -> Table:
    table = _table("GUEST", ["SIZE", "LEAST", "PEAK HELD", "SAMPLES", "WORK", "STALLED", "OOM"])
    for row in outcome.rows:
        table.add_row(
            row.name,
            format_size(row.size),
            _size(row.least_size),
            _size(row.peak_held),
            str(row.samples),
            format_size(row.worked),
            f"{row.stall_seconds:.1f} s",
            _harm(row),
        )
    return table


def _harm(row: GuestOutcome) -> Text:
    if row.died is not None:
        return Text(row.died, style="bold red")
    if row.oom_kills is None:
        return Text("no answer", style="yellow")
    return Text(str(row.oom_kills), style="bold red" if row.oom_kills else "")


def _figures(outcomes: Sequence[Outcome]) -> Table:
    """Return the figures of all trials, one column each."""
    table = _table("", [outcome.title.upper() for outcome in outcomes])
    lines: list[tuple[str, Callable[[Outcome], str | Text]]] = [
        ("guests, and their memory", lambda one: f"{len(one.rows)}, {format_size(one.memory)}"),
        ("budget of the host", lambda one: format_size(one.budget)),
        ("most that they held at once", _peak),
        ("taken from guests", lambda one: format_size(one.taken)),
        ("given to guests", lambda one: format_size(one.given)),
        ("moves of balloons", lambda one: str(one.moves)),
        ("samples of statistics", lambda one: str(one.samples)),
        ("exposed at the end", lambda one: format_size(one.exposure)),
        ("processes killed for memory", lambda one: _bad(one.oom_kills)),
        ("guests that died", lambda one: _bad(one.guest_deaths)),
        ("work begun anew", lambda one: _bad(one.restarts)),
        ("work done (memory and file read)", lambda one: format_size(one.worked)),
        ("stalled", lambda one: f"{one.stall_seconds:.1f} s"),
    ]
    for name, figure in lines:
        table.add_row(name, *(figure(outcome) for outcome in outcomes))
    return table


def _peak(outcome: Outcome) -> Text:
    over = outcome.peak_held > outcome.budget
    return Text(format_size(outcome.peak_held), style="bold red" if over else "bold green")


def _bad(count: int) -> Text:
    return Text(str(count), style="bold red" if count else "green")


def _verdict(outcome: Outcome) -> Text:
    """Return one outcome in a sentence."""
    over = outcome.peak_held - outcome.budget
    held = f"the guests held {format_size(outcome.peak_held)} at most, "
    held += f"{format_size(abs(over))} {'more' if over > 0 else 'less'} than the budget"
    harm = [
        f"{count} {what}"
        for count, what in (
            (outcome.guest_deaths, "guests died"),
            (outcome.oom_kills, "processes were killed for want of memory"),
            (outcome.damaged, "times memory was damaged"),
        )
        if count
    ]
    good = over <= 0 and not harm
    mark = Text("✓ ", style="bold green") if good else Text("✗ ", style="bold red")
    sentence = f"{outcome.title}: {held}; {', '.join(harm) or 'nobody came to harm'}."
    return Text(" ").append_text(mark).append(sentence)


def _size(size: int | None) -> str:
    return "-" if size is None else format_size(size)


def _table(first: str, titles: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 1), pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table
