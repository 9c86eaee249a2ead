"""``aerostat resume GUEST``: have the manager move a guest again that was on hold."""

from pathlib import Path

import click

from aerostat.cli.options import GUEST, dry_run_option, json_option, socket_option


@click.command(
    "resume",
    short_help="Manage a guest again that was on hold.",
    epilog="""\b
Examples:
  aerostat resume web1
""",
)
@click.argument("guest", type=GUEST)
@dry_run_option
@json_option
@socket_option
def command(guest: str, socket: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Have the manager move GUEST (a name, UUID or key) again: the end of 'aerostat hold'."""
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json

    with manager_at(socket) as client:
        answer = client.resume(guest, dry_run=dry_run)
    if as_json:
        click.echo(to_json(**answer))
    else:
        click.echo(f"{answer['name']}: {'would be ' if dry_run else ''}managed again")
