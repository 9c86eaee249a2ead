"""The tables of a report as words, for the terminal and for the page alike. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from aerostat.simulator.report import palette
from aerostat.simulator.report.rows import Row
from aerostat.simulator.report.scales import format_number, format_share
from aerostat.simulator.report.sums import LIMIT, Line, Mean, best_rival, verdict
from aerostat.units import format_size

_ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Titles and cells; `words` say what the columns are. The first column is the policy's."""

    title: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: str

    def is_ours(self, row: tuple[str, ...]) -> bool:
        """Say whether a row is our policy's."""
        return palette.family_name(row[0]) == palette.OURS


def family_table(title: str, lines: Sequence[Line]) -> Table:
    """Return a table of one family: how many guests each policy holds, and what they suffer."""
    dense = any(line.guests is not None for line in lines)
    shown = ("guests", "of static", "p99", "harm") if dense else ("harm", "p99")
    titles = ("policy", *shown, "kills", "faults/h", "read/h", "moves/h", "held")
    rows = []
    for line in lines:
        row = line.shown
        harm = format_share(row.mean_slowdown)
        cells = [*_dense_cells(line), harm] if dense else [harm, format_share(row.p99_slowdown)]
        rows.append((line.policy, *cells, *_counts(row)))
    words = DENSE_WORDS if dense else WORDS
    return Table(f"{title}{_among(lines)}", titles, tuple(rows), f"{words} {COUNTED}")


DENSE_WORDS = (
    f"guests: the most of which the 99th of 100 is slowed down by {format_share(LIMIT)} at most "
    "(p99), without an OOM kill; of static: of those that static sizes hold. The rest is among as "
    "many guests as the title says. harm: their mean slowdown."
)
WORDS = "harm: mean slowdown of the guests; p99: that of the 99th of 100."
COUNTED = (
    "kills: for want of memory, by guests and host; of a guest in an hour: major faults, disk "
    "reads, moves of its balloon; held: of all guests together."
)


def _among(lines: Sequence[Line]) -> str:
    """Return among how many guests harm is told of, and why so many."""
    equal = next((line.equal for line in lines if line.equal), None)
    if equal is None:
        return ""
    rival = best_rival(line.density for line in lines if line.density)
    whose = f", the density of {rival.policy}" if rival and rival.guests == equal.guests else ""
    return f": harm among {equal.guests} guests{whose}"


def _dense_cells(line: Line) -> list[str]:
    """Return how many guests it holds, of those of static sizes, and what the 99th loses."""
    guests = _ABSENT if line.guests is None else str(line.guests)
    p99 = format_share(line.density.p99_slowdown) if line.density else _ABSENT
    return [guests, _ratio(line.ratio), p99]


def _ratio(ratio: float | None) -> str:
    return _ABSENT if ratio is None else f"{ratio:.2f}x"


def _counts(row: Row) -> list[str]:
    return [
        f"{row.kills:.0f}",
        format_number(round(row.per_hour(row.major_faults))),
        format_size(row.per_hour(row.block_reads)),
        format_number(round(row.per_hour(row.moves))),
        format_size(row.mean_held),
    ]


def mean_table(title: str, means: Sequence[Mean], families: int) -> Table:
    """Return a table of all families together."""
    dense = any(mean.ratio is not None for mean in means)
    titles = ("policy", *(("of static", "of the gap") if dense else ()), "harm", "kills")
    rows = []
    for mean in means:
        cells = [mean.policy]
        if dense:
            cells += [_ratio(mean.ratio), _ABSENT if mean.gap is None else format_share(mean.gap)]
        rows.append((*cells, format_share(mean.harm), f"{mean.kills:.0f}"))
    words = f"Geometric means over {families} families; kills: OOM, their sum."
    if dense:
        words += (
            " of static: guests, of those that static sizes hold; of the gap: how much of the way "
            "from static sizes to the oracle, which knows the future, that is."
        )
    said = verdict(means)
    return Table(title, titles, tuple(rows), f"{words} {said}".rstrip())


def text_lines(table: Table) -> list[str]:
    """Return a table as lines of aligned text: its titles, then its rows."""
    cells = [tuple(title.upper() for title in table.titles), *table.rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
