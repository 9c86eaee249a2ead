"""Options and types of value that several commands share. Imports click and the core only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aerostat.errors import UsageError
from aerostat.units import parse_size

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


SIZE = SizeType()


def json_option(function: _Function) -> _Function:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, with bytes and seconds."
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


def qmp_option(help_text: str) -> Callable[[_Function], _Function]:
    """Return a decorator that adds ``--qmp``, which may be given several times."""
    return click.option("--qmp", "globs", metavar="GLOB", multiple=True, help=help_text)
