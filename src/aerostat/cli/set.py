"""``aerostat set GUEST SIZE``: fix a guest's size, or give it back to the manager."""

from pathlib import Path

import click

from aerostat.cli.options import GUEST, SIZE, dry_run_option, json_option, socket_option


class SizeOrAuto(click.ParamType[int | None, str]):
    """A size, or ``auto``: None."""

    name = "size"

    def convert(
        self, value: str | int | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return bytes or None."""
        return None if value in (None, "auto") else SIZE.convert(value, param, ctx)


@click.command(
    "set",
    short_help="Fix a guest's size, or leave it to the manager.",
    epilog="""\b
Examples:
  aerostat set web1 2GiB      hold it at 2 GiB, whatever the manager thinks
  aerostat set web1 auto      let the manager decide again
""",
)
@click.argument("guest", type=GUEST)
@click.argument("size", metavar="SIZE|auto", type=SizeOrAuto())
@dry_run_option
@json_option
@socket_option
def command(
    guest: str, size: int | None, socket: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    """Fix GUEST (a name, UUID or key) at SIZE, such as 1.5GiB; 'auto' ends it.

    A manager must be running, with --manage. No guest is taken below its guarantee.
    """
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json
    from aerostat.units import format_size

    with manager_at(socket) as client:
        answer = client.set_target(guest, size, dry_run=dry_run)
    if as_json:
        click.echo(to_json(**answer))
        return
    would = "would be " if dry_run else ""
    if size is None:
        click.echo(f"{answer['name']}: {would}left to the manager")
    else:
        click.echo(
            f"{answer['name']}: {would}fixed at {format_size(size)} until 'set {guest} auto'"
        )
