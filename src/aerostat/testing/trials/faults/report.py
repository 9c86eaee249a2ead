"""What came of a campaign, as text, JSON and a page. Writes into the directory it is given."""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from aerostat.testing.trials.faults.oracle import PROMISES
from aerostat.testing.trials.faults.record import Found, Record
from aerostat.testing.trials.faults.schedule import BRISK, KINDS, Schedule
from aerostat.units import MIB, format_size

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; color: #1d2733 }
table { border-collapse: collapse; width: 100% } td, th { padding: .25em .7em; text-align: left;
vertical-align: top; border-bottom: 1px solid #dde3ea } td.number { text-align: right }
.kept { color: #1a7f4b } .broken { color: #c0271a; font-weight: 600 } pre { font-size: 13px }
svg text { font: 11px system-ui, sans-serif; fill: #51606f } svg rect { fill: #2a6fdb }
"""
# The upper ends of the classes of the times to recovery, in seconds.
_CLASSES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 30.0)


class Times(NamedTuple):
    """How faults of one kind went: how many, and the seconds from their end to all being well."""

    faults: int
    missed: int
    median: float | None
    ninety: float | None
    """Nine of ten took no longer."""
    most: float | None


def times(record: Record) -> dict[str, Times]:
    """Return by kind of fault how it went."""
    missed = Counter(one.fault.kind for one in record.injuries if one.missed)
    took: dict[str, list[float]] = defaultdict(list)
    for one in record.carried_out:
        took[one.fault.kind] += [one.recovered - one.lifted] if one.recovered is not None else []
    done = Counter(one.fault.kind for one in record.carried_out)
    return {
        kind: Times(done[kind], missed[kind], *_quantiles(took[kind]))
        for kind in KINDS
        if done[kind] or missed[kind]
    }


def _quantiles(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    inorder = sorted(values)
    if not inorder:
        return None, None, None
    last = len(inorder) - 1
    return inorder[last // 2], inorder[round(0.9 * last)], inorder[last]


def histogram(record: Record) -> list[tuple[float, int]]:
    """Return how many faults took how long, by classes: their upper ends in seconds, and counts."""
    taken = [one.recovered - one.lifted for one in record.carried_out if one.recovered is not None]
    below = [sum(value <= end for value in taken) for end in _CLASSES]
    counts = [count - before for count, before in zip(below, [0, *below], strict=False)]
    return list(zip(_CLASSES, counts, strict=True))


def again(schedule: Schedule, found: Found) -> str:
    """Return the command that makes the round of a broken promise again."""
    words = [f"--seed {schedule.seed}", f"--first {found.first}", f"--faults {found.count}"]
    words += [f"--only {word}" for word in schedule.only]
    words += ["--brisk"] if schedule.tempo is BRISK else []
    return f"make faults ARGS={shlex.quote(' '.join(words))}"


def data(record: Record) -> dict[str, Any]:
    """Return all of it as plain values. Sizes are bytes, times seconds."""
    broken = Counter(found.promise for found in record.found)
    return {
        "seed": record.schedule.seed,
        "only": list(record.schedule.only),
        "residents": {one.name: one.kind for one in record.schedule.residents},
        "wanted": record.wanted,
        "faults": len(record.carried_out),
        "missed": len(record.injuries) - len(record.carried_out),
        "rounds": record.rounds,
        "seconds": round(record.took, 1),
        "interrupted": record.interrupted,
        "houses": record.houses,
        "promises": {name: broken[name] for name in PROMISES},
        "violations": [
            {
                "promise": found.promise,
                "what": found.what,
                "faults": found.faults,
                "again": again(record.schedule, found),
            }
            for found in record.found
        ],
        "kinds": {kind: value._asdict() for kind, value in times(record).items()},
        "recovery": histogram(record),
        "memory": {
            "checks": record.checks,
            "bytes": record.checked,
            "damaged": record.damaged,
            "oom_kills": record.oom_kills,
        },
        "guests_restarted": record.restarts,
        "ticks": record.ticks,
        "moves": record.moves,
        "slowest_tick": record.slowest_tick,
        "lag": record.lag,
        "descriptors": record.most_descriptors,
        "witness": _weights(record),
        "settled": record.settled,
        "replay": record.replay,
    }


def _weights(record: Record) -> Mapping[str, int]:
    weights = [weight for _, weight in record.witness]
    return {"first": weights[0], "last": weights[-1], "most": max(weights)} if weights else {}


def text(record: Record) -> str:
    """Return what one reads in a terminal."""
    values = data(record)
    lines = [_summary(record), ""]
    lines += [
        f"{'kept  ' if not broken else 'BROKEN'}  {PROMISES[name]}"
        + (f" ({broken} times)" if broken else "")
        for name, broken in values["promises"].items()
    ]
    lines += ["", f"{'fault':22}{'done':>6}{'missed':>8}{'median':>9}{'9 of 10':>9}{'most':>8}"]
    lines += [
        f"{kind:22}{one.faults:6}{one.missed:8}"
        f"{_seconds(one.median):>9}{_seconds(one.ninety):>9}{_seconds(one.most):>8}"
        for kind, one in times(record).items()
    ]
    lines += ["", *_figures(record)]
    for found in record.found:
        lines += ["", f"BROKEN  {found.promise}: {found.what}"]
        lines += [f"        {fault}" for fault in found.faults]
        lines += [f"        {again(record.schedule, found)}"]
    return "\n".join(lines)


def _summary(record: Record) -> str:
    done, broken = len(record.carried_out), len(record.found)
    cut = ", interrupted" if record.interrupted else ""
    return (
        f"seed {record.schedule.seed}: {done} faults in {record.rounds} rounds, "
        f"{record.took:.0f} s{cut}: promises broken: {broken}, damage: {record.damaged}"
    )


def _figures(record: Record) -> list[str]:
    looked = format_size(record.checked // MIB * MIB)
    lines = [
        f"memory looked through {record.checks} times, {looked} in all: {record.damaged} damaged",
        f"killed for want of memory: {record.oom_kills}; guests started again: {record.restarts}",
        f"judged: {record.ticks} ticks and {record.moves} moves of both managers",
        f"the slowest tick of the witness took {record.slowest_tick:.2f} s",
        f"this program itself was held up for at most {record.lag:.2f} s",
    ]
    if weights := _weights(record):
        first, last, most = (format_size(weights[name]) for name in ("first", "last", "most"))
        lines.append(f"the witness weighed {first} at first, {last} at last, {most} at most")
    grown = [
        f"{name} {most - first:+}"
        for name, (first, most) in sorted(record.most_descriptors.items())
        if most != first
    ]
    lines.append(f"descriptors, most beyond the first count: {', '.join(grown) or 'none'}")
    if record.settled is not None:
        lines.append(f"within the budget {record.settled:.1f} s after the last round")
    if record.replay:
        lines.append(f"the journal, replayed: {record.replay.splitlines()[0]}")
    return lines


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def write_data(record: Record, directory: Path) -> None:
    """Write ``faults.json`` into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "faults.json").write_text(json.dumps(data(record), indent=2) + "\n")


def write(record: Record, directory: Path) -> Path:
    """Write ``index.html``, ``faults.json`` and ``faults.txt``; return the page's path."""
    write_data(record, directory)
    (directory / "faults.txt").write_text(text(record) + "\n", encoding="utf-8")
    page = directory / "index.html"
    page.write_text(_page(record), encoding="utf-8")
    return page


def _page(record: Record) -> str:
    broken = Counter(found.promise for found in record.found)
    promises = (
        (
            f"<td class='{'broken' if broken[name] else 'kept'}'>",
            f"{f'broken {broken[name]} times' if broken[name] else 'kept'}<td>{escape(words)}",
        )
        for name, words in PROMISES.items()
    )
    kinds = (
        f"<td>{kind}<td>{escape(KINDS[kind].what)}<td class='number'>{one.faults}"
        f"<td class='number'>{_seconds(one.median)}<td class='number'>{_seconds(one.ninety)}"
        f"<td class='number'>{_seconds(one.most)}"
        for kind, one in times(record).items()
    )
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Faults</title>",
        f"<style>{_STYLE}</style><h1>A campaign of faults</h1><p>{escape(_summary(record))}</p>",
        _table(("", "promise"), ("".join(one) for one in promises)),
        "<h2>Faults, and the time until all was well</h2>",
        _bars(histogram(record)),
        _table(("kind", "what it is", "how many", "median", "nine of ten", "most"), kinds),
        "<h2>Figures</h2>",
        *(f"<p>{escape(line)}</p>" for line in _figures(record)),
        *(_violation(record, found) for found in record.found),
        "</html>",
    ]
    return "\n".join(parts)


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(one)}" for one in heads)
    return f"<table><tr>{head}{''.join(f'<tr>{row}' for row in rows)}</table>"


def _violation(record: Record, found: Found) -> str:
    lines = [*found.faults, again(record.schedule, found)]
    said = escape("\n".join(lines))
    return f"<h2 class='broken'>{escape(f'{found.promise}: {found.what}')}</h2><pre>{said}</pre>"


def _bars(classes: Sequence[tuple[float, int]]) -> str:
    """Return the histogram as SVG."""
    most = max([count for _, count in classes] or [0]) or 1
    parts = []
    for place, (end, count) in enumerate(classes):
        x, height = 20 + place * 76, 120 * count / most
        parts.append(
            f'<rect x="{x}" y="{140 - height:.1f}" width="60" height="{height:.1f}"/>'
            f'<text x="{x + 30}" y="{134 - height:.1f}" text-anchor="middle">{count}</text>'
            f'<text x="{x + 30}" y="156" text-anchor="middle">to {end:g} s</text>'
        )
    return (
        '<svg viewBox="0 0 940 166" width="100%" role="img" aria-label="times to recovery" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
