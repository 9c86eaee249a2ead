"""Gathers what the doctor judges: from the host, the running manager, or the guests themselves.

Touches `/proc` and `/sys`, the manager's API, sockets' inodes, guests through connectors, and runs
the helper's Python once. Changes nothing.
"""

import asyncio
import glob
import grp
import os
import pwd
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from aerostat.cli.direct import row_of
from aerostat.daemon.api.client import Client
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.doctor.guest import GuestFacts
from aerostat.doctor.sockets import LibvirtFacts, SocketFacts
from aerostat.errors import AerostatError
from aerostat.host.budget import Budget, HostReading
from aerostat.host.host import Host
from aerostat.host.survey import Survey, read_survey
from aerostat.hypervisors.base import Connector, Examination

# Seconds that one guest may take, and all of them together.
_GUEST_LIMIT = 5.0
_ALL_LIMIT = 60.0
_PYTHON_LIMIT = 10.0
# Below this two readings of a counter make no rate.
_BETWEEN = 0.25
_MOST_SOCKETS = 4096


class HostFacts(NamedTuple):
    """The host: how it is set up, and how it fares."""

    survey: Survey
    reading: HostReading


class HostWatch:
    """Looks at the host twice: rates are between the two."""

    def __init__(self) -> None:
        self._host = Host(Budget())
        self._host.read(0)
        self._began = time.monotonic()

    def facts(self) -> HostFacts:
        """Look again. Raises `MissingError` where there is no memory to be read."""
        time.sleep(max(self._began + _BETWEEN - time.monotonic(), 0))
        return HostFacts(read_survey(), self._host.read(0))


class Sight(NamedTuple):
    """What was seen of the guests, and why what was not seen was not, by connector."""

    guests: tuple[GuestFacts, ...]
    problems: tuple[tuple[str, str], ...] = ()


def through_manager(client: Client, snapshot: Snapshot, wanted: Sequence[GuestRow]) -> Sight:
    """Return what a running manager knows of the `wanted` guests, whom it examines now."""
    until = time.monotonic() + _ALL_LIMIT
    managing = snapshot.mode == "manage"
    guests = []
    for row in wanted:
        examination = _examined(client, row.key) if time.monotonic() < until else "no time was left"
        if isinstance(examination, str):
            guests.append(GuestFacts(row, problem=examination, managing=managing))
        else:
            guests.append(GuestFacts(row, examination, managing=managing))
    return Sight(tuple(guests))


def _examined(client: Client, key: str) -> Examination | str:
    """Have the manager examine a guest; return why it cannot, if it cannot."""
    try:
        return msgspec.convert(client.examine(key), Examination)
    except (AerostatError, msgspec.ValidationError) as error:
        return clean_text(error)


async def directly(connectors: Sequence[Connector]) -> Sight:
    """Return what the guests of `connectors` say, each asked once."""
    guests: list[GuestFacts] = []
    problems = []
    for connector in connectors:
        try:
            await connector.start()
            guests += await _look(connector)
        except AerostatError as error:
            problems.append((connector.name, clean_text(error)))
        finally:
            await connector.close()
    guests.sort(key=lambda guest: (guest.row.name, guest.row.key))
    return Sight(tuple(guests), tuple(problems))


async def _look(connector: Connector) -> list[GuestFacts]:
    found = await connector.guests()
    answers = await connector.sample([guest.key for guest in found], _GUEST_LIMIT)
    found = await connector.guests()  # without those of whom nobody listens
    now = time.monotonic()
    rows = [row_of(guest, answers[guest.key], now) for guest in found if guest.key in answers]
    return list(await asyncio.gather(*(_examine(connector, row) for row in rows)))


async def _examine(connector: Connector, row: GuestRow) -> GuestFacts:
    try:
        return GuestFacts(row, await connector.examine(row.key, _GUEST_LIMIT))
    except AerostatError as error:
        return GuestFacts(row, problem=clean_text(error))


def user() -> str:
    """Return the name of the user that we are."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def sockets_of(pattern: str) -> tuple[SocketFacts, ...]:
    """Return what is at the paths that match a pattern."""
    paths = sorted(glob.glob(pattern))[:_MOST_SOCKETS]  # noqa: PTH207 - as the connector does
    return tuple(socket_at(path) for path in paths)


def socket_at(path: str) -> SocketFacts:
    """Return what is at a path that should be a socket, without connecting to it."""
    try:
        status = Path(path).stat()
    except PermissionError:
        return SocketFacts(path, there=True, socket=True)  # as far as can be known
    except OSError:
        return SocketFacts(path, there=False)
    is_socket = stat.S_ISSOCK(status.st_mode)
    try:
        group: str | None = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = None
    usable = is_socket and os.access(path, os.W_OK, effective_ids=True)
    return SocketFacts(path, there=True, socket=is_socket, usable=usable, group=group)


def libvirt_at(uri: str, python: str = "/usr/bin/python3") -> LibvirtFacts:
    """Return what is there of libvirt, for `uri`."""
    try:
        command = [python, "-c", "import libvirt"]
        ran = subprocess.run(command, capture_output=True, check=False, timeout=_PYTHON_LIMIT)
        has_module = ran.returncode == 0
    except (OSError, subprocess.SubprocessError):
        has_module = False
    return LibvirtFacts(uri, python, has_module, tuple(map(socket_at, _daemon_sockets(uri))))


def _daemon_sockets(uri: str) -> list[str]:
    """Return where a daemon for a URI listens: the modular one, or the one of old, for root."""
    parts = urlsplit(uri)
    if parts.netloc or parts.scheme not in {"qemu", "qemu+unix"} or parts.path != "/system":
        return []  # of another host, of the user and started on demand, or no daemon at all
    given = parse_qs(parts.query).get("socket")
    return given or ["/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"]
