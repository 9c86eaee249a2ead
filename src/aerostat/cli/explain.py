"""``aerostat explain GUEST``: what is done with a guest, and why."""

from pathlib import Path

import click

from aerostat.cli.options import json_option, socket_option


@click.command(
    "explain",
    short_help="Say what is done with a guest, and why.",
    epilog="""\b
Examples:
  aerostat explain web1
""",
)
@click.argument("guest")
@socket_option
@json_option
def command(guest: str, socket: Path | None, *, as_json: bool) -> None:
    """Say what is done with GUEST (a name or a key), and why."""
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json

    with manager_at(socket) as client:
        explanation = client.explain(guest)
    click.echo(to_json(guest=guest, explanation=explanation) if as_json else explanation)
