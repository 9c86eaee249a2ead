"""Density: the most guests that a host can hold under a policy without harm to them.

Adapter; NumPy, no I/O. *Without harm* is: of all guests of all seeds the 99th of a hundred loses
at most `LIMIT` of its work, and nothing is killed for want of memory, in any guest or on any host.
A first run has hosts of counts that are far apart, a second one all counts between the last that
was well and the first that was not. Counts above one that was not well are not looked at: that a
host would be well with more guests again is luck.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aerostat.engine.policies.base import Policy
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.setting import Setting, grid, run_together

LIMIT = 0.02

# The first counts that are tried, in hosts that are full without any balloon.
_LEAST, _MOST, _RATIO = 0.5, 4.0, 1.3
# Nobody keeps more than this; the machine that simulates is not unlimited.
_ABSURD = 64.0


@dataclass(frozen=True, slots=True)
class Density:
    """What the search for the most guests has found."""

    count: int
    """Guests a host; 0 where even one would be harmed."""
    full: float
    """How many would fit with all their memory, in the mean of the seeds."""
    best: Row | None
    """How `count` guests fare."""
    tried: tuple[Row, ...]
    """All counts that were tried, in their order."""

    @property
    def ratio(self) -> float:
        """Return how many guests there are for each that would fit with all its memory."""
        return self.count / self.full if self.full else 0.0

    @property
    def p99_slowdown(self) -> float:
        """Return the slowdown of the 99th of a hundred guests at that density."""
        return self.best.p99_slowdown if self.best else 0.0


def well(row: Row, limit: float = LIMIT) -> bool:
    """Tell whether nobody was harmed."""
    return row.p99_slowdown <= limit and row.kills == 0


def density(
    family: str | Setting,
    policy: Policy,
    *,
    name: str | None = None,
    limit: float = LIMIT,
    **setting: Any,
) -> Density:
    """Return the most guests of a family that a host can hold under a policy.

    `setting` are fields of `Setting`: `seeds`, `dialect`, `budget`, `seconds`, ...; `name` is what
    the policy is called in the rows. Raises `UsageError`.
    """
    if isinstance(family, Setting):
        where = replace(family, **setting) if setting else family
    else:
        where = Setting(family, **setting)
    return densities([where], policy, name=name, limit=limit)[0]


def densities(
    settings: Sequence[Setting], policy: Policy, *, name: str | None = None, limit: float = LIMIT
) -> list[Density]:
    """Return the same for settings that differ in their families only, all in the same runs.

    That is much faster than one after the other: a step of many hosts takes little longer than one
    of a few.
    """
    searches = [_search(where, limit) for where in settings]
    wanted = {row: next(search) for row, search in enumerate(searches)}
    found: dict[int, Density] = {}
    while wanted:
        asked = [(settings[row], counts) for row, counts in wanted.items()]
        answers = run_together(asked, policy, name or policy.name, Part.SEARCH)
        for row, rows in zip(tuple(wanted), answers, strict=True):
            try:
                wanted[row] = searches[row].send(rows)
            except StopIteration as ended:
                found[row] = ended.value
                del wanted[row]
    return [found[row] for row in range(len(settings))]


def _search(where: Setting, limit: float) -> Generator[list[int], list[Row], Density]:
    """Yield counts of guests to be tried, and take how they fared; return the density."""
    tried: dict[int, Row] = {}

    def keep(rows: list[Row]) -> tuple[int, int | None]:
        tried.update({row.guests: row for row in rows})
        return _bracket(tried, limit)

    full = max(where.full(), 1.0)
    low, high = full * _LEAST, full * _MOST
    good, bad = keep((yield list(grid(low, high, _RATIO))))
    while bad is None and high < full * _ABSURD:
        low, high = high * _RATIO, high * _RATIO**3
        good, bad = keep((yield list(grid(low, high, _RATIO))))
    if bad is not None and bad > good + 1:
        good, bad = keep((yield list(range(good + 1, bad))))
    best = tried.get(good)
    return Density(
        count=good,
        full=where.full(),
        best=best and replace(best, part=Part.DENSITY),
        tried=tuple(tried[count] for count in sorted(tried)),
    )


def _bracket(tried: dict[int, Row], limit: float) -> tuple[int, int | None]:
    """Return the last count before the first that was not well, and that one."""
    good = 0
    for count in sorted(tried):
        if not well(tried[count], limit):
            return good, count
        good = count
    return good, None
