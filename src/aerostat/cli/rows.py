"""Where rows come from: a running manager, or the guests themselves."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from aerostat.cli.asking import manager_at
from aerostat.cli.errors import NotThereError
from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.errors import LinkError, UsageError


def read_snapshot(globs: Sequence[str], socket: Path | None, uris: Sequence[str] = ()) -> Snapshot:
    """Return what a manager shows; or, with `globs` or `uris`, guests read by QMP and libvirt."""
    if globs or uris:
        from aerostat.cli.direct import read_guests

        return Snapshot(time.monotonic(), time.time(), guests=read_guests(globs, uris))
    with manager_at(socket) as client:
        return to_snapshot(client.snapshot())


def read_guest(
    name: str, globs: Sequence[str], socket: Path | None, uris: Sequence[str] = ()
) -> tuple[GuestRow, float]:
    """Return the row of one guest, and when it held (seconds since the epoch).

    Raises `NotThereError` where there is none, and `UsageError` where there are several.
    """
    if globs or uris:
        snapshot = read_snapshot(globs, socket, uris)
        return find_guest(snapshot, name), snapshot.wall
    with manager_at(socket) as client:
        values, wall = client.guest_at(name)
    try:
        return msgspec.convert(values, GuestRow), wall
    except msgspec.ValidationError as error:
        raise LinkError(f"the manager is of another version: {error}", retryable=False) from error


def to_snapshot(values: dict[str, object]) -> Snapshot:
    """Return the snapshot that a manager sent."""
    try:
        return Snapshot.from_json(values)
    except UsageError as error:
        raise LinkError(f"the manager is of another version: {error}", retryable=False) from error


def find_guest(snapshot: Snapshot, name: str) -> GuestRow:
    """Return the guest with this key, UUID or name.

    Raises `NotThereError` where there is none, and `UsageError` where there are several.
    """
    found = snapshot.find(name)
    if not found:
        known = ", ".join(clean_name(row.name) for row in snapshot.guests[:10])
        more = f", and {len(snapshot.guests) - 10} more" if len(snapshot.guests) > 10 else ""
        there = f"there are: {known}{more}" if snapshot.guests else "there are none"
        raise NotThereError(f"no such guest: {clean_name(name)}; {there}")
    if len(found) > 1:
        keys = ", ".join(row.key for row in found)
        raise UsageError(f"{len(found)} guests are called {clean_name(name)}; name one of: {keys}")
    return found[0]
