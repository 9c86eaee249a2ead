"""Options and types of value that several commands share. Imports click and the core only."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from aerostat.errors import AerostatError, UsageError
from aerostat.units import parse_size

_COMPLETION_LIMIT = 0.5  # seconds: somebody waits with a finger on a key
# The longest that anything may be asked for: what is longer is a slip of the hand.
_LONGEST = 366 * 86400.0
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_DURATION = re.compile(f"({_PART.pattern})+", re.ASCII)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class SizeType(click.ParamType[int, str]):
    """A size with a unit, ``512MiB``; bytes in the program."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[float, str]):
    """A time with a unit, ``90s``, ``5m``, ``1h30m``, ``2d``; seconds in the program."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = value.strip().lower()
        if not _DURATION.fullmatch(text):
            self.fail(f"not a time: {value!r}; write it as 90s, 5m, 1h30m or 2d", param, ctx)
        seconds = sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
        if not 0 < seconds <= _LONGEST:
            self.fail(f"{value!r} is not from 1s to {_LONGEST / 86400:.0f}d", param, ctx)
        return seconds


class GuestType(click.ParamType[str, str]):
    """A guest by its name, UUID or key; a shell completes the names that the manager knows."""

    name = "guest"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click calls it so
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names that begin with `incomplete`; none where nobody answers at once."""
        from aerostat.daemon.api.client import Client

        try:
            guests = Client(ctx.params.get("socket"), timeout=_COMPLETION_LIMIT).guests()
        except AerostatError:
            return []
        names = sorted({str(guest["name"]) for guest in guests})
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


GUEST = GuestType()
SIZE = SizeType()
DURATION = DurationType()


def json_option(function: _Function) -> _Function:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, with bytes and seconds."
    )(function)


def dry_run_option(function: _Function) -> _Function:
    """Add ``--dry-run``, of every command that changes something."""
    return click.option(
        "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
    )(function)


def socket_option(function: _Function) -> _Function:
    """Add ``--socket``: where the manager listens."""
    return click.option(
        "--socket",
        metavar="PATH",
        envvar="AEROSTAT_SOCKET",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="The manager's API socket.",
    )(function)


def libvirt_option(help_text: str) -> Callable[[_Function], _Function]:
    """Return a decorator that adds ``--libvirt``, which may be given several times."""
    return click.option("--libvirt", "uris", metavar="URI", multiple=True, help=help_text)


def qmp_option(help_text: str) -> Callable[[_Function], _Function]:
    """Return a decorator that adds ``--qmp``, which may be given several times."""
    return click.option("--qmp", "globs", metavar="GLOB", multiple=True, help=help_text)
