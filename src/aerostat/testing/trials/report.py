"""A trial as a page: what was promised and seen, the house and each guest over time.

Writes files into the directory that it is given.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

import msgspec

from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.testing.trials.house import Record
from aerostat.testing.trials.plan import GUARANTEE, SIZE
from aerostat.testing.trials.plots import STYLE, Line, Plot, Points, sheet
from aerostat.testing.trials.verdict import Verdict
from aerostat.units import format_size

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; color: #1d2733 }
table { border-collapse: collapse; width: 100% } td, th { padding: .25em .7em; text-align: left;
vertical-align: top; border-bottom: 1px solid #dde3ea } .kept { color: #1a7f4b }
.broken { color: #c0271a; font-weight: 600 } svg { display: block; margin: .6em 0 }
.moves { font-size: 13px } details { margin: 1em 0 }
"""
_BLUE, _GREEN, _ORANGE, _GREY = "#2a6fdb", "#1a9e6b", "#d9822b", "#8794a3"
_GAP = 5.0
_LAST_MOVES = 400


def write(record: Record, verdicts: Sequence[Verdict], directory: Path) -> Path:
    """Write ``index.html``, ``trial.json`` and ``trial.svg`` into `directory`.

    Return the page's path.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "trial.svg").write_text(sheet([_house(record), *_guests(record)]))
    (directory / "trial.json").write_text(_data(record, verdicts))
    page = directory / "index.html"
    page.write_text(_page(record, verdicts), encoding="utf-8")
    return page


def _data(record: Record, verdicts: Sequence[Verdict]) -> str:
    values = {
        "plan": msgspec.to_builtins(record.plan),
        "verdicts": [verdict._asdict() for verdict in verdicts],
        "oom_kills": record.oom_kills,
        "lies": record.lies,
        "moves": len(record.moves),
        "ticks": len(record.snapshots),
        "explained": record.explained,
    }
    return json.dumps(values, indent=2) + "\n"


def _page(record: Record, verdicts: Sequence[Verdict]) -> str:
    plan = record.plan
    about = (
        f"{len(plan.residents)} guests of {format_size(SIZE)} each, {format_size(plan.memory)} "
        f"together, under a budget of {format_size(plan.budget)}, for {plan.seconds:.0f} s; each "
        f"is guaranteed {format_size(GUARANTEE)}."
    )
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>A trial of aerostat</title>",
        f"<style>{_STYLE}{STYLE}</style><h1>A trial of aerostat</h1><p>{about}</p>",
        _table(verdicts),
        "<h2>The house</h2>",
        _house(record).svg(),
        "<h2>The guests</h2>",
        *(plot.svg() for plot in _guests(record)),
        _moves(record),
        "</html>",
    ]
    return "\n".join(parts)


def _table(verdicts: Iterable[Verdict]) -> str:
    rows = "".join(
        f"<tr><td class='{'kept' if one.kept else 'broken'}'>{'kept' if one.kept else 'broken'}"
        f"<td>{escape(one.promise)}<td>{escape(one.seen)}"
        for one in verdicts
    )
    return f"<table><tr><th><th>promise<th>seen{rows}</table>"


def _house(record: Record) -> Plot:
    def host(name: str) -> Callable[[Snapshot], float | None]:
        return lambda now: getattr(now.hosts[0], name) if now.hosts else None

    lines = (
        Line("permitted", _BLUE, _points(record, host("permitted"))),
        Line("held", _GREEN, _points(record, host("held"))),
        Line("budget", _GREY, _points(record, host("budget")), dashed=True),
    )
    return Plot(
        "all guests together",
        lines,
        _seconds(record),
        record.plan.memory * 1.0,
        _deaths(record),
        220,
    )


def _guests(record: Record) -> Iterable[Plot]:
    for resident in record.plan.residents:
        kind = resident.kind if resident.conduct == "honest" else f"{resident.kind}, hostile"
        lines = tuple(
            Line(label, colour, _points(record, _of(resident.name, attribute)))
            for label, colour, attribute in (
                ("size", _BLUE, "guest_size"),
                ("held", _GREEN, "held"),
                ("in use", _ORANGE, "demand"),
            )
        )
        title = f"{resident.name} ({kind})"
        yield Plot(title, lines, _seconds(record), SIZE * 1.25, _deaths(record))


def _of(name: str, attribute: str) -> Callable[[Snapshot], float | None]:
    def value(now: Snapshot) -> float | None:
        rows: tuple[GuestRow, ...] = now.find(name)
        return getattr(rows[0], attribute) if rows else None

    return value


def _points(record: Record, value: Callable[[Snapshot], float | None]) -> Points:
    """Return a point for each snapshot, and a gap where the manager was dead."""
    began, last = _began(record), 0.0
    points: list[tuple[float, float | None]] = []
    for snapshot in record.snapshots:
        at = snapshot.time - began
        if at - last > _GAP:
            points.append((at, None))
        points.append((at, value(snapshot)))
        last = at
    return points


def _began(record: Record) -> float:
    return record.snapshots[0].time


def _seconds(record: Record) -> float:
    return record.snapshots[-1].time - _began(record)


def _deaths(record: Record) -> tuple[tuple[float, str], ...]:
    return tuple((at - _began(record), "killed") for at in record.deaths)


def _moves(record: Record) -> str:
    began = _began(record)
    rows = "".join(
        f"<tr><td>{move.time - began:.0f} s<td>{escape(move.name)}<td>{format_size(move.from_size)}"
        f"<td>{format_size(move.to_size)}<td>{escape(move.sentence)}<td>{escape(move.outcome)}"
        for move in record.moves[-_LAST_MOVES:]
    )
    return (
        f"<details><summary>{len(record.moves)} moves (the last {_LAST_MOVES} here)</summary>"
        f"<table class='moves'><tr><th>when<th>guest<th>from<th>to<th>why<th>outcome{rows}"
        "</table></details>"
    )
