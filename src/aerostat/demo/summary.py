"""The end of a demonstration: what came of it, for people and for programs. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aerostat.demo.kinds import KINDS
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
        Padding(_guests(outcomes[0]), (0, 0, 1, 1), expand=False),
        Padding(_figures(outcomes), (0, 0, 1, 1), expand=False),
        *(line for outcome in outcomes for line in _verdict(outcome)),
    )


def _guests(outcome: Outcome) -> Table:
    table = _table("GUEST", ["SIZE", "LEAST", "PEAK HELD", "SAMPLES", "WORK", "STALLED", "OOM"])
    for row in outcome.rows:
        table.add_row(
            row.name,
            _size(row.size),
            _size(row.least_size),
            _size(row.peak_held),
            str(row.samples),
            _size(row.worked),
            f"{row.stall_seconds:.1f} s",
            _harm(row),
        )
    return table


def _harm(row: GuestOutcome) -> Text:
    if row.died is not None:
        return Text("died", style="bold red")
    if row.oom_kills is None:
        return Text("?", style="yellow")
    return Text(str(row.oom_kills), style="bold red" if row.oom_kills else "")


def _figures(outcomes: Sequence[Outcome]) -> Table:
    """Return the figures of all trials, one column each."""
    table = _table("", [outcome.title.upper() for outcome in outcomes])
    guests = f"{KINDS[outcomes[0].kind].noun}s"
    lines: list[tuple[str, Callable[[Outcome], str | Text]]] = [
        (f"{guests}, and their memory", lambda one: f"{len(one.rows)}, {_size(one.memory)}"),
        ("seconds of work", lambda one: f"{one.seconds:.0f}"),
        ("budget of the host", lambda one: _size(one.budget)),
        ("most that they held at once", _peak),
        ("taken from guests", lambda one: _size(one.taken)),
        ("given to guests", lambda one: _size(one.given)),
        ("moves of balloons", lambda one: str(one.moves)),
        ("samples of statistics", lambda one: str(one.samples)),
        ("exposed at the end", lambda one: _size(one.exposure)),
        ("processes killed for memory", lambda one: _bad(one.oom_kills)),
        ("guests that died", lambda one: _bad(one.guest_deaths)),
        ("work begun anew", lambda one: _bad(one.restarts)),
        ("work done (memory and file read)", lambda one: _size(one.worked)),
        ("stalled", lambda one: f"{one.stall_seconds:.1f} s"),
    ]
    for name, figure in lines:
        table.add_row(name, *(figure(outcome) for outcome in outcomes))
    return table


def _peak(outcome: Outcome) -> Text:
    over = outcome.peak_held > outcome.budget
    return Text(_size(outcome.peak_held), style="bold red" if over else "bold green")


def _bad(count: int) -> Text:
    return Text(str(count), style="bold red" if count else "green")


def _verdict(outcome: Outcome) -> Iterator[Text]:
    """Yield one outcome in a sentence, and one for each guest that died."""
    over = outcome.peak_held - outcome.budget
    held = f"the guests held {_size(outcome.peak_held)} at most, "
    held += f"{_size(abs(over))} {'more' if over > 0 else 'less'} than the budget"
    harm = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (outcome.guest_deaths, "guest died", "guests died"),
            (
                outcome.oom_kills,
                "process was killed for want of memory",
                "processes were killed for want of memory",
            ),
            (outcome.damaged, "piece of memory was damaged", "pieces of memory were damaged"),
            (outcome.silent, "guest could not be asked", "guests could not be asked"),
        )
        if count
    ]
    good = over <= 0 and not harm
    mark = Text("✓ ", style="bold green") if good else Text("✗ ", style="bold red")
    sentence = f"{outcome.title}: {held}; {', '.join(harm) or 'nobody came to harm'}."
    yield Text(" ").append_text(mark).append(sentence)
    yield from (Text(f"   {row.name} {row.died}", style="red") for row in outcome.rows if row.died)


def _size(size: int | None) -> str:
    return "-" if size is None else format_size(size)


def _table(first: str, titles: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table
