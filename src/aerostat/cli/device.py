"""``aerostat device``: becomes the device process.

A device process is light because it imports the standard library alone; so this command does not
import the device, it replaces itself by ``python -m aerostat.device`` with the same arguments.
"""

import os
import sys

import click


@click.command(
    "device",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Serve one balloon device to a VMM over vhost-user.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Serve one balloon device to a VMM over vhost-user."""
    sys.stdout.flush()
    # -P: a directory named `aerostat` where the user stands must not be taken for the package.
    # No shell is involved, and the program is the interpreter that runs now.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "aerostat.device", *arguments])  # noqa: S606
