"""``aerostat release``: give guests memory back, as much as the host can cover."""

from pathlib import Path

import click

from aerostat.cli.options import GUEST, dry_run_option, json_option, socket_option
from aerostat.errors import UsageError


@click.command(
    "release",
    short_help="Give a guest memory back, as far as the host can.",
    epilog="""\b
Examples:
  aerostat release web1
  aerostat release --all --dry-run
""",
)
@click.argument("guest", required=False, type=GUEST)
@click.option("--all", "everybody", is_flag=True, help="All guests, each the same part.")
@dry_run_option
@json_option
@socket_option
def command(
    guest: str | None, socket: Path | None, *, everybody: bool, dry_run: bool, as_json: bool
) -> None:
    """Give GUEST (a name, UUID or key) back what its balloon took, as much as the host can cover.

    Never more: emptying all balloons at once is how a host dies. The manager goes on; what it
    needs it takes again.
    """
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json

    if (guest is None) is not everybody:
        raise UsageError("name one guest, or give --all")
    with manager_at(socket) as client:
        answer = client.release(guest, dry_run=dry_run)
    if as_json:
        click.echo(to_json(**answer))
        return
    for key in answer["keys"]:
        click.echo(f"{key}: {'would be' if dry_run else 'is'} given memory back")
    if not answer["keys"]:
        click.echo("nothing to give back: the guests have all, or the host cannot cover more")
