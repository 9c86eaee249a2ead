"""What rows come to: who is best, means over families, fronts. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aerostat.simulator.report import palette
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.report.scales import format_share

LIMIT = 0.02
"""The slowdown that the 99th of a hundred guests may have where guests count as unharmed; the
search for the most guests (`aerostat.simulator.density`) has the same."""
_LEAST = 1e-4
"""For means of harm: less than this share is taken for this."""


@dataclass(frozen=True, slots=True)
class Line:
    """A policy in a table: the densest house that it harms nobody in, and one as full as others'.

    Either is `None` where it was not asked for.
    """

    policy: str
    guests: int | None
    """How many it holds without harm: 0 where it harms even one, None where nobody searched."""
    density: Row | None
    """How they fare."""
    equal: Row | None
    ratio: float | None
    """Guests, of those that fixed sizes hold."""

    @property
    def shown(self) -> Row:
        """The row that harm and counts are told of: among as many guests as others have."""
        row = self.equal or self.density
        assert row is not None
        return row


def families(rows: Iterable[Row]) -> list[str]:
    """Return the families there are, in the order in which they come."""
    return list(dict.fromkeys(row.family for row in rows))


def dialects(rows: Iterable[Row]) -> list[str]:
    """Return the dialects there are, in the order in which they come."""
    return list(dict.fromkeys(row.dialect for row in rows))


def policies(rows: Iterable[Row]) -> list[str]:
    """Return the policies there are: ours, the bound, fixed sizes, the rivals."""
    return sorted({row.policy for row in rows}, key=palette.rank)


def whole(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose samples came as they should: without the trials of lost ones."""
    kept = list(rows)
    least = min(((row.loss, row.delay) for row in kept), default=(0.0, 0.0))
    return [row for row in kept if (row.loss, row.delay) == least]


def lines(rows: Sequence[Row], family: str, dialect: str) -> list[Line]:
    """Return the table of a family: a line a policy, the densest first, then the least harm."""
    here = [row for row in whole(rows) if (row.family, row.dialect) == (family, dialect)]
    density = {row.policy: row for row in here if row.part is Part.DENSITY}
    equal = {row.policy: row for row in here if row.part in (Part.EQUAL, Part.GIVEN)}
    guests = {row.policy: 0 for row in here if row.part is Part.SEARCH}
    guests |= {policy: row.guests for policy, row in density.items()}
    base = guests.get(palette.BASE)
    made = [
        Line(
            policy,
            guests.get(policy),
            density.get(policy),
            equal.get(policy),
            guests[policy] / base if base and policy in guests else None,
        )
        for policy in policies(here)
        if policy in density or policy in equal
    ]
    return sorted(made, key=lambda line: (-(line.guests or 0), line.shown.mean_slowdown))


@dataclass(frozen=True, slots=True)
class Mean:
    """A policy over all families: geometric means."""

    policy: str
    ratio: float | None
    """Of its guests to those that fixed sizes hold."""
    gap: float | None
    """Of the way from fixed sizes to the bound, the share that it has gone; in logarithms."""
    harm: float
    """Of the mean slowdown; less than 0.01 % counts as 0.01 %."""
    kills: float
    """The sum, not a mean."""


def means(rows: Sequence[Row], dialect: str) -> list[Mean]:
    """Return a line a policy that was run on all families, the best first."""
    tables = [
        {line.policy: line for line in lines(rows, family, dialect)} for family in families(rows)
    ]
    made = []
    for policy in policies(rows):
        if not all(policy in table for table in tables):
            continue
        mine = [table[policy] for table in tables]
        ratio = _geometric([line.ratio for line in mine])
        bounds = [table[palette.BOUND].ratio for table in tables if palette.BOUND in table]
        bound = _geometric(bounds) if len(bounds) == len(tables) else None
        gap = math.log(ratio) / math.log(bound) if ratio and bound and bound > 1 else None
        harm = _geometric([max(line.shown.mean_slowdown, _LEAST) for line in mine])
        assert harm is not None
        made.append(Mean(policy, ratio, gap, harm, sum(line.shown.kills for line in mine)))
    return sorted(made, key=lambda mean: (-(mean.ratio or 0.0), mean.harm))


def verdict(means: Sequence[Mean]) -> str:
    """Return in a sentence how ours compares with the best rival, "" where either is missing."""
    ours = next((mean for mean in means if mean.policy == palette.OURS), None)
    bound = next((mean for mean in means if mean.policy == palette.BOUND), None)
    rivals = [mean for mean in means if mean.policy not in (palette.OURS, palette.BOUND)]
    if ours is None or not rivals:
        return ""
    least = min(rivals, key=lambda mean: mean.harm)
    words = f"harm {format_share(ours.harm)}, {least.policy}'s {format_share(least.harm)}"
    best = max(rivals, key=lambda mean: mean.ratio or 0.0)
    if ours.ratio and best.ratio:
        words = (
            f"{ours.ratio / best.ratio:.2f} guests for each of the best rival's, {best.policy}"
            f"{_closed(ours.ratio, best.ratio, bound)}; {words}"
        )
    return f"{palette.OURS}: {words}."


def _closed(ours: float, best: float, bound: Mean | None) -> str:
    """Return how much of the way from the best rival to the bound ours has gone."""
    if bound is None or not bound.ratio or bound.ratio <= best:
        return ""
    share = math.log(ours / best) / math.log(bound.ratio / best)
    return f", {format_share(share)} of the way from there to the {palette.BOUND}"


def _geometric(values: Sequence[float | None]) -> float | None:
    """Return the geometric mean, None where there is nothing or a value is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return math.exp(sum(map(math.log, known)) / len(known)) if min(known) > 0 else 0.0


def best_rival(rows: Iterable[Row]) -> Row | None:
    """Return the densest row of somebody who is neither we nor the bound; None where nobody is."""
    rivals = [
        row
        for row in rows
        if row.part is Part.DENSITY
        and palette.family_name(row.policy) not in (palette.OURS, palette.BOUND)
    ]
    return max(rivals, key=lambda row: (row.guests, -row.mean_slowdown), default=None)


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other surpasses: none has more guests at as little harm.

    From few guests to many; so harm rises, too.
    """
    kept: list[tuple[float, float]] = []
    least = math.inf
    for guests, harm in sorted(points, key=lambda point: (-point[0], point[1])):
        if harm < least:
            kept.append((guests, harm))
            least = harm
    return kept[::-1]
