"""``aerostat list``: all guests, a line each."""

from pathlib import Path

import click

from aerostat.cli.options import json_option, qmp_option, socket_option


@click.command(
    "list",
    epilog="""\b
Examples:
  aerostat list                          what the running manager sees
  aerostat list --json                   the same, for programs
  aerostat list --qmp '/run/vm/*.qmp'    ask the guests themselves, once
""",
)
@qmp_option("Read these guests directly, without a manager.")
@socket_option
@json_option
def command(globs: tuple[str, ...], socket: Path | None, *, as_json: bool) -> None:
    """Show all guests, a line each."""
    from aerostat.cli.report import list_table, to_json
    from aerostat.cli.rows import guest_rows

    rows = guest_rows(globs, socket)
    click.echo(to_json(guests=rows) if as_json else list_table(rows))
