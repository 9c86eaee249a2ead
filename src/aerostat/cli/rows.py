"""Where rows come from: a running manager, or the guests themselves."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from aerostat.cli.asking import manager_at
from aerostat.daemon.snapshot import GuestRow
from aerostat.errors import LinkError


def guest_rows(globs: Sequence[str], socket: Path | None) -> tuple[GuestRow, ...]:
    """Return a row for each guest, read through QMP where `globs` are given."""
    if globs:
        from aerostat.cli.direct import read_guests

        return read_guests(globs)
    with manager_at(socket) as client:
        return tuple(_row(values) for values in client.guests())


def guest_row(name: str, globs: Sequence[str], socket: Path | None) -> GuestRow:
    """Return the row of the guest of this name or key."""
    if globs:
        from aerostat.cli.report import find_guest

        return find_guest(guest_rows(globs, socket), name)
    with manager_at(socket) as client:
        return _row(client.guest(name))


def _row(values: object) -> GuestRow:
    try:
        return msgspec.convert(values, GuestRow)
    except msgspec.ValidationError as error:
        raise LinkError(f"the manager is of another version: {error}", retryable=False) from error
