"""What is right and wrong with the manager and its accounts, from its own snapshot. Pure."""

from collections.abc import Iterator

from aerostat.daemon.snapshot import HostRow, Snapshot
from aerostat.doctor import mending
from aerostat.doctor.findings import MANAGER, Finding, Level, counted
from aerostat.units import format_size

# What a host needs for itself: its kernel, its services, and something to work with.
_LEAST_RESERVE = 0.02


def manager_findings(snapshot: Snapshot, total: int) -> list[Finding]:
    """Return what the checks of the manager come to, on a host of `total` bytes."""
    return [
        *_itself(snapshot),
        *_connectors(snapshot),
        *(finding for host in snapshot.hosts for finding in _accounts(snapshot, host, total)),
        *_reservations(snapshot),
    ]


def absent(problem: str) -> list[Finding]:
    """Return that there is no manager to ask, for the reason given."""
    return [_found("running", Level.WARNING, problem, mending.START)]


def _found(check: str, level: Level, text: str, mend: str | None = None) -> Finding:
    return Finding(MANAGER, check, level, text, mend)


def _itself(snapshot: Snapshot) -> Iterator[Finding]:
    yield _found("running", Level.OK, f"it runs, and sees {counted(len(snapshot.guests), 'guest')}")
    if snapshot.mode == "manage":
        yield _found("mode", Level.OK, "it moves balloons")
    else:
        yield _found("mode", Level.INFO, "it only observes; no balloon is moved", mending.MANAGE)
    if snapshot.config_problem:
        yield _found("config", Level.WARNING, snapshot.config_problem, mending.CHECK)
    else:
        yield _found("config", Level.OK, "its configuration is in force")
    if snapshot.journal in {"ok", "off"}:
        yield _found("journal", Level.OK, f"the journal is {snapshot.journal}")
    else:
        yield _found("journal", Level.WARNING, f"the journal: {snapshot.journal}")
    duration, interval = snapshot.tick_duration, snapshot.interval
    if duration > interval:
        text = f"a tick took {duration:.2f} s, and one should begin every {interval:g} s"
        mend = f"interval = {2 * duration:.0f}    # or more, in the configuration"
        yield _found("pace", Level.WARNING, text, mend)
    else:
        yield _found("pace", Level.OK, f"a tick takes {1000 * duration:.0f} ms")
    for problem in snapshot.problems:
        # Connectors and the configuration have findings of their own.
        if problem != snapshot.config_problem and not problem.startswith("connector "):
            yield _found("problem", Level.WARNING, problem)


def _connectors(snapshot: Snapshot) -> Iterator[Finding]:
    for row in snapshot.connectors:
        if row.problem:
            yield _found("connector", Level.CRITICAL, f"{row.name}: {row.problem}")
        elif not row.guests:
            text = f"{row.name}: it finds no guest"
            yield _found("connector", Level.WARNING, text, mending.CHECK)
        else:
            yield _found("connector", Level.OK, f"{row.name}: {counted(row.guests, 'guest')}")
        if row.helper_restarts:
            text = f"{row.name}: its helper was started again {row.helper_restarts} times"
            yield _found("connector", Level.INFO, text)


def _accounts(snapshot: Snapshot, host: HostRow, total: int) -> Iterator[Finding]:
    if host.budget is None:
        return
    guarantees = sum(guest.guarantee or 0 for guest in snapshot.guests if guest.managed)
    added = f"guarantees add up to {format_size(guarantees)}"
    budget = f"the budget of {format_size(host.budget)}"
    if guarantees > host.budget:
        text = f"{added}, more than {budget}: they cannot all be kept"
        mend = "lower guarantees in [guests] or [guest.NAME], or move a guest to another host"
        yield _found("guarantees", Level.CRITICAL, text, mend)
    else:
        yield _found("guarantees", Level.OK, f"{added}, and {budget} covers them")
    yield from _reserve(host, total)
    if host.exposure:
        text = f"guests may use {format_size(host.exposure)} more than {budget}"
        yield _found("exposure", Level.WARNING, text, "aerostat explain GUEST    # says why")
    else:
        yield _found("exposure", Level.OK, f"guests may not use more than {budget}")


def _reserve(host: HostRow, total: int) -> Iterator[Finding]:
    if host.budget is None or host.held is None or host.available is None:
        return
    left = min(host.held + host.available, total) - host.budget
    if left < 0:
        text = f"the budget is {format_size(-left)} more than guests and host have"
    elif left < _LEAST_RESERVE * total:
        text = f"the budget leaves only {format_size(left)} for the host itself"
    else:
        yield _found("reserve", Level.OK, f"the budget leaves {format_size(left)} for the host")
        return
    mend = '[host]\nreserve = "10%"    # in place of a budget, or a smaller budget'
    yield _found("reserve", Level.WARNING, text, mend)


def _reservations(snapshot: Snapshot) -> Iterator[Finding]:
    for row in snapshot.reservations:
        size = format_size(row.size)
        if row.backed:
            text = f"{size} are kept for {row.name}"
            yield _found("reservation", Level.OK, text)
        else:
            text = f"{size} for {row.name} are not there yet; {row.left:.0f} s are left"
            yield _found("reservation", Level.INFO, text)
