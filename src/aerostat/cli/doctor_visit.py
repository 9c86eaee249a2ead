"""One visit of the doctor: gathers the facts, has them judged, and returns what was found.

Touches what `facts` touches.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aerostat.cli import doctor_facts as facts
from aerostat.cli.asking import manager_at
from aerostat.cli.doctor_facts import Sight
from aerostat.cli.errors import NotThereError, one_line
from aerostat.daemon import paths
from aerostat.daemon.config import Config, load, parse
from aerostat.daemon.connectors import LIBVIRT_URI, connectors_of
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.doctor import mending
from aerostat.doctor.condition import condition_findings
from aerostat.doctor.findings import MANAGER, Finding, Level
from aerostat.doctor.guest import setup_findings
from aerostat.doctor.host import host_findings, promised_finding
from aerostat.doctor.manager import absent, manager_findings
from aerostat.doctor.sockets import libvirt_findings, qmp_findings
from aerostat.errors import AerostatError, UsageError


class Wanted(NamedTuple):
    """What to look at: a guest by name, UUID or key, or all; and where to look.

    Without `globs` and `uris` the running manager is asked; where there is none, the guests of the
    configuration file are read.
    """

    guest: str | None = None
    globs: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    socket: Path | None = None
    config: Path | None = None


class _Seen(NamedTuple):
    """What was gathered around the guests: findings already, or a manager's snapshot."""

    sight: Sight
    findings: tuple[Finding, ...] = ()
    snapshot: Snapshot | None = None


def visit(wanted: Wanted) -> list[Finding]:
    """Return what was found: of one guest, or of everything.

    Raises `NotThereError` where the guest is not there, `MissingError` where the host cannot be
    read.
    """
    host = facts.HostWatch()
    if wanted.globs or wanted.uris:
        seen = _read(_config_of(wanted.globs, wanted.uris), wanted)
    else:
        seen = _ask(wanted)
    survey, reading = host.facts()
    found: list[Finding] = []
    if wanted.guest is None:
        maximums = sum(guest.row.max_size or 0 for guest in seen.sight.guests)
        found += host_findings(survey, reading)
        if maximums:
            found.append(promised_finding(maximums, reading))
        if seen.snapshot is not None:
            found += manager_findings(seen.snapshot, reading.total)
        found += seen.findings
    for guest in seen.sight.guests:
        known = replace(guest, host_swaps=reading.swap_total > 0)
        found += condition_findings(known)
        found += setup_findings(known)
    return found


def _ask(wanted: Wanted) -> _Seen:
    """Ask the running manager; where there is none, read what the configuration file names."""
    try:
        with manager_at(wanted.socket) as client:
            snapshot = Snapshot.from_json(client.snapshot())
            rows = _choose(snapshot.guests, wanted.guest)
            return _Seen(facts.through_manager(client, snapshot, rows), snapshot=snapshot)
    except NotThereError as error:
        if wanted.guest is not None and wanted.config is None and not paths.config_file().exists():
            raise
        found = absent(one_line(error))
    except (AerostatError, PermissionError) as error:
        # One runs, and has hold of the guests: they had better not be asked by us too.
        return _Seen(Sight(()), (Finding(MANAGER, "running", Level.WARNING, one_line(error)),))
    path = wanted.config or paths.config_file()
    if wanted.config is None and not path.exists():
        return _Seen(Sight(()), tuple(found))
    try:
        config = load(path)
    except UsageError as error:
        found.append(Finding(MANAGER, "config", Level.CRITICAL, one_line(error), mending.CHECK))
        return _Seen(Sight(()), tuple(found))
    seen = _read(config, wanted)
    return seen._replace(findings=(*found, *seen.findings))


def _config_of(globs: Sequence[str], uris: Sequence[str]) -> Config:
    """Return a configuration that observes the guests of these sockets and libvirts."""
    connectors: list[dict[str, object]] = [{"kind": "libvirt", "uri": uri} for uri in uris]
    if globs:
        connectors.append({"kind": "qmp", "sockets": list(globs)})
    return parse({"connector": connectors}, "options")


def _read(config: Config, wanted: Wanted) -> _Seen:
    """Read the guests that a configuration names, changing nothing."""
    sight = asyncio.run(facts.directly(connectors_of(config)))
    if wanted.guest is not None:
        rows = _choose([guest.row for guest in sight.guests], wanted.guest)
        chosen = tuple(guest for guest in sight.guests if guest.row in rows)
        return _Seen(Sight(chosen))
    found: list[Finding] = []
    for connector in config.connector:
        if connector.kind == "qmp":
            for pattern in connector.sockets:
                found += qmp_findings(pattern, facts.sockets_of(pattern), facts.user())
        else:
            uri = connector.uri or LIBVIRT_URI
            found += libvirt_findings(facts.libvirt_at(uri), facts.user())
    found += [
        Finding(MANAGER, "connector", Level.CRITICAL, f"{name}: {problem}")
        for name, problem in sight.problems
    ]
    return _Seen(sight, tuple(found))


def _choose(rows: Sequence[GuestRow], name: str | None) -> list[GuestRow]:
    """Return the guests of this name, UUID or key; all for None. Raises `NotThereError`."""
    if name is None:
        return list(rows)
    chosen = [row for row in rows if name in (row.key, row.uuid, row.name)]
    if not chosen:
        names = ", ".join(sorted({row.name for row in rows})) or "none"
        raise NotThereError(f"no such guest: {name}; there are: {names}")
    return chosen
