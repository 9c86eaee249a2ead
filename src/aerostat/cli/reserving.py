"""Waiting until reserved room is there, and showing how far it has come."""

import sys
import time
from typing import Any

import click
import msgspec

from aerostat.daemon.api.client import Client
from aerostat.daemon.snapshot import ReservationRow
from aerostat.errors import AerostatError
from aerostat.tui.states import reservation_words
from aerostat.units import format_size

_EVERY = 0.5  # seconds between two looks; a manager looks about once a second itself
_SAID_EVERY = 10.0  # seconds between two lines where there is no terminal


def describe(row: dict[str, Any]) -> str:
    """Return a reservation in words."""
    return reservation_words(msgspec.convert(row, ReservationRow))


class ReservationEnded(AerostatError):
    """It was cancelled, or its lease ended, before the room was there."""


class Waiting:
    """Waits for the reservation for `name`, at most `lease` seconds; says so on standard error."""

    def __init__(self, client: Client, name: str, lease: float) -> None:
        self._client = client
        self._name = name
        self._until = time.monotonic() + lease
        self._terminal = sys.stderr.isatty()
        self._said = -_SAID_EVERY

    def until_there(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the reservation when its room is there. Raises `ReservationEnded` otherwise."""
        try:
            while not row["backed"] and time.monotonic() < self._until:
                self._say(row)
                time.sleep(min(_EVERY, max(self._until - time.monotonic(), 0.0)))
                rows = self._client.reservations()
                now = next((each for each in rows if each["name"] == self._name), None)
                if now is None:
                    break
                row = now
        finally:
            if self._terminal:
                click.echo("\r\033[K", nl=False, err=True)
        if row["backed"]:
            return row
        if self._has_come():  # it has the room now: that is what it was for
            return {**row, "left": 0.0, "backed": True}
        size = format_size(row["size"])
        raise ReservationEnded(f"the reservation for {self._name} ended before {size} were there")

    def _has_come(self) -> bool:
        return any(
            self._name in (guest["name"], guest["key"], guest.get("uuid"))
            for guest in self._client.guests()
        )

    def _say(self, row: dict[str, Any]) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._said < _SAID_EVERY:
            return
        self._said = now
        text = f"waiting: {describe(row)}{self._progress()}"
        if self._terminal:
            click.echo(f"\r\033[K{text}", nl=False, err=True)
        else:
            click.echo(text, err=True)

    def _progress(self) -> str:
        hosts = self._client.status()["hosts"]
        reserved = sum(host["reserved"] for host in hosts)
        there = sum(host["reserved_backed"] for host in hosts)
        if not reserved:  # it has not been thought about yet
            return ""
        return f" ({format_size(there)} of all {format_size(reserved)} reserved)"
