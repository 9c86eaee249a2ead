"""``aerostat check``: holds anybody's balloon device, or driver, to the specification."""

from typing import TYPE_CHECKING, Any

import click

from aerostat.cli.check_device import command as device
from aerostat.cli.check_driver import command as driver

if TYPE_CHECKING:
    from aerostat.testing.check.checks import Registry


@click.group(
    "check",
    invoke_without_command=True,
    short_help="Hold a balloon device or driver to the specification, yours or another's.",
    epilog="""\b
Examples:
  aerostat check device /run/vm/balloon.sock    a device that listens for vhost-user
  aerostat check driver --guest uml             a driver: Linux's, in user-mode Linux
  aerostat check --list                         what is looked at
  aerostat check --explain DEV-OP-2             one statement, and how it is observed
""",
)
@click.option("--list", "wanted", is_flag=True, help="List the statements that are looked at.")
@click.option("--explain", "id_", metavar="ID", help="Say all about a statement.")
@click.pass_context
def command(context: click.Context, id_: str | None, *, wanted: bool) -> None:
    """Hold a balloon device or driver to the specification: virtio 1.2, 5.5, and vhost-user."""
    if context.invoked_subcommand is not None:
        return
    from aerostat.testing.check import explaining

    if id_ is not None:
        lines = explaining.explanation(id_, _registries())
    elif wanted:
        lines = explaining.listing(_registries())
    else:
        raise click.UsageError("say what to check, or --list, or --explain ID", context)
    for line in lines:
        click.echo(line)


def _registries() -> "list[Registry[Any]]":
    from aerostat.testing.check.device.all_checks import CHECKS as OF_DEVICES
    from aerostat.testing.check.driver.all_checks import CHECKS as OF_DRIVERS

    return [OF_DEVICES, OF_DRIVERS]


command.add_command(device)
command.add_command(driver)
