"""`check_policy`: which promises a policy keeps, and tables of that. Pure, where policies are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aerostat.engine.policies.base import Policy
from aerostat.testing.policies.promises import PROMISES, Kind, Promise
from aerostat.testing.policies.stage import Broken


class Verdict(NamedTuple):
    """Whether a promise is kept; `how` it is broken, or ""."""

    promise: Promise
    kept: bool
    how: str


class Report(NamedTuple):
    """All that was found out about a policy."""

    name: str
    verdicts: tuple[Verdict, ...]

    def broken(self, *kinds: Kind) -> tuple[Verdict, ...]:
        """Return the promises that are broken, of these kinds, or of all."""
        return tuple(
            verdict
            for verdict in self.verdicts
            if not verdict.kept and (not kinds or verdict.promise.kind in kinds)
        )


def check_policy(
    policy: Policy, name: str | None = None, promises: Sequence[Promise] = PROMISES
) -> Report:
    """Return which of `promises` a policy keeps; `name` is what to call it. Raises nothing."""
    verdicts = tuple(_verdict(policy, promise) for promise in promises)
    return Report(policy.name if name is None else name, verdicts)


def _verdict(policy: Policy, promise: Promise) -> Verdict:
    try:
        with np.errstate(all="ignore"):
            promise.check(policy)
    except Broken as broken:
        return Verdict(promise, False, str(broken))
    except Exception as error:  # noqa: BLE001 - somebody else's code, which may raise anything
        return Verdict(promise, False, f"raises {type(error).__name__}: {error}")
    return Verdict(promise, True, "")


def table(reports: Sequence[Report]) -> str:
    """Return a table of promises by policies; below it, how each was broken."""
    promises = [verdict.promise for verdict in reports[0].verdicts]
    heads = [["promise", "kind", "no.", *(report.name for report in reports)]]
    rows = heads + [
        [
            promise.name,
            promise.kind.value,
            str(promise.number or "-"),
            *("kept" if report.verdicts[place].kept else "BROKEN" for report in reports),
        ]
        for place, promise in enumerate(promises)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for report in reports:
        if report.broken():
            lines += ["", f"{report.name}:"]
        # What went wrong everywhere in the same way is said once.
        ways = dict.fromkeys(verdict.how for verdict in report.broken())
        for how in ways:
            names = [each.promise.name for each in report.broken() if each.how == how]
            lines.append(f"  {', '.join(names)}: {how}")
    return "\n".join(lines)
