"""``aerostat guest``: becomes the driver of this guest's balloon.

What runs in a guest is the standard library alone; so this command does not import the driver, it
replaces itself by ``python -m aerostat.guest`` with the same arguments.
"""

import os
import sys

import click


@click.command(
    "guest",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Drive this guest's balloon, in place of the kernel's driver.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Drive this guest's balloon, in place of the kernel's driver."""
    sys.stdout.flush()
    # As in `aerostat device`.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "aerostat.guest", *arguments])  # noqa: S606
