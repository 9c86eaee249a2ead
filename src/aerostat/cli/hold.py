"""``aerostat hold GUEST``: have the manager leave a guest as it is."""

from pathlib import Path

import click

from aerostat.cli.options import GUEST, dry_run_option, json_option, socket_option


@click.command(
    "hold",
    short_help="Leave a guest as it is, until 'resume'.",
    epilog="""\b
Examples:
  aerostat hold web1
  aerostat hold web1 --note 'database is being restored'
""",
)
@click.argument("guest", type=GUEST)
@click.option("--note", metavar="TEXT", default="", help="Why, for those who see it later.")
@dry_run_option
@json_option
@socket_option
def command(guest: str, note: str, socket: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Leave GUEST (a name, UUID or key) as it is: its balloon is not moved, whatever happens.

    It lasts until 'aerostat resume', over restarts of the manager too.
    """
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json

    with manager_at(socket) as client:
        answer = client.hold(guest, note, dry_run=dry_run)
    if as_json:
        click.echo(to_json(**answer))
    else:
        would = "would be " if dry_run else ""
        click.echo(f"{answer['name']}: {would}on hold until 'aerostat resume {guest}'")
