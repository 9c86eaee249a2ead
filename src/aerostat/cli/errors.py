"""Exit codes, and how an error is told to the user: one line that says what to do.

A face; imports click and what is light.
"""

from enum import IntEnum

import click

from aerostat.daemon.names import clean_text
from aerostat.errors import AerostatError, UsageError


class ExitCode(IntEnum):
    """What the process says when it ends."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_THERE = 3  # no such guest, or no manager (LSB: "program is not running")
    NOT_PERMITTED = 4
    UNAVAILABLE = 69  # of sysexits(3): what the manager needs is not there; it may be tried again
    BAD_CONFIG = 78  # of sysexits(3): a service manager need not try again
    INTERRUPTED = 130  # 128 + SIGINT


class NotThereError(AerostatError):
    """There is no such guest, or no manager to ask."""


class UnavailableError(AerostatError):
    """The manager cannot start now: another one runs, or something that it needs is not there."""


class BadConfigError(AerostatError):
    """The manager's configuration is wrong; the message names the file, the line and the reason."""


# The first that fits, so that a kind stands before those it is made of.
_CODES: dict[type[Exception], ExitCode] = {
    UsageError: ExitCode.USAGE,
    NotThereError: ExitCode.NOT_THERE,
    UnavailableError: ExitCode.UNAVAILABLE,
    BadConfigError: ExitCode.BAD_CONFIG,
    PermissionError: ExitCode.NOT_PERMITTED,
    AerostatError: ExitCode.FAILURE,
    OSError: ExitCode.FAILURE,
}


def exit_code(error: Exception) -> int | None:
    """Return the exit code for `error`, None if nobody raised it on purpose."""
    if isinstance(error, (click.ClickException, click.exceptions.Exit)):
        return error.exit_code
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), None)


def one_line(error: Exception) -> str:
    """Return what `error` means and what to do about it, in one line."""
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "aerostat"
            text = f"{error.format_message().rstrip('.')}; see '{path} --help'"
        case click.ClickException():
            text = error.format_message()
        case OSError() if error.strerror:
            where = f": {error.filename}" if error.filename else ""
            text = f"{error.strerror.lower()}{where}"
        case _:
            text = str(error) or type(error).__name__
    return clean_text(text)
