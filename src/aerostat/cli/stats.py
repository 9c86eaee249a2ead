"""``aerostat stats GUEST``: everything that a guest says of its memory."""

from pathlib import Path

import click

from aerostat.cli.options import json_option, qmp_option, socket_option


@click.command(
    "stats",
    short_help="Show everything that a guest says of its memory.",
    epilog="""\b
Examples:
  aerostat stats web1
  aerostat stats web1 --human
  aerostat stats web1 --qmp '/run/vm/*.qmp' --json
""",
)
@click.argument("guest")
@qmp_option("Read the guest directly, without a manager.")
@socket_option
@click.option("--human", is_flag=True, help="Print sizes with units instead of bytes.")
@json_option
def command(
    guest: str, globs: tuple[str, ...], socket: Path | None, *, human: bool, as_json: bool
) -> None:
    """Show the statistics of GUEST (a name or a key) as lines of a key and a value.

    Sizes are bytes; a statistic that the guest does not send is '-'.
    """
    from aerostat.cli.report import stats_lines, to_json
    from aerostat.cli.rows import guest_row
    from aerostat.errors import LinkError

    row = guest_row(guest, globs, socket)
    if globs and row.error:
        raise LinkError(f"{row.name} cannot be read: {row.error}")
    click.echo(to_json(guest=row) if as_json else stats_lines(row, human=human))
