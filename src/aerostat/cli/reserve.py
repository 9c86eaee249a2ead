"""``aerostat reserve``: make room for a guest before it starts or migrates in."""

from pathlib import Path
from typing import Any

import click

from aerostat.cli.options import DURATION, SIZE, dry_run_option, json_option, socket_option
from aerostat.errors import UsageError


@click.command(
    "reserve",
    short_help="Make room for a guest before it starts.",
    epilog="""\b
Examples:
  aerostat reserve 8GiB --for db2 --lease 5m --wait && virsh start db2
  aerostat reserve --list
  aerostat reserve --cancel db2
""",
)
@click.argument("size", required=False, type=SIZE)
@click.option("--for", "name", metavar="NAME", help="The guest to come: its name, UUID or key.")
@click.option(
    "--lease",
    metavar="TIME",
    type=DURATION,
    default="5m",
    show_default=True,
    help="How long the room is kept.",
)
@click.option("--wait", is_flag=True, help="Return when the room is there.")
@click.option("--list", "listing", is_flag=True, help="Show all reservations.")
@click.option("--cancel", metavar="NAME", help="End the reservation for NAME.")
@dry_run_option
@json_option
@socket_option
def command(
    size: int | None,
    name: str | None,
    lease: float,
    cancel: str | None,
    socket: Path | None,
    *,
    wait: bool,
    listing: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Keep SIZE (such as 8GiB) of the host's budget free for the guest NAME.

    Guests give what they can spare, then what they have beyond their share; none goes below its
    guarantee. The reservation ends when that guest is there, when its lease ends, or with --cancel.
    The same NAME again renews it. With --wait the exit code is 0 when the room is there, and 1 when
    the reservation ended before that.
    """
    from aerostat.cli.asking import manager_at
    from aerostat.cli.report import to_json
    from aerostat.cli.reserving import Waiting, describe

    making = size is not None or name is not None
    if making + listing + (cancel is not None) != 1 or (making and None in (size, name)):
        raise UsageError("give SIZE --for NAME, or --list, or --cancel NAME")
    if wait and (dry_run or not making):
        raise UsageError("--wait goes with SIZE --for NAME, and not with --dry-run")

    def show(text: str, **values: Any) -> None:
        click.echo(to_json(**values) if as_json else text)

    with manager_at(socket) as client:
        if listing:
            rows = client.reservations()
            text = "\n".join(describe(row) for row in rows) or "nothing is reserved"
            show(text, reservations=rows)
        elif cancel is not None:
            client.cancel(cancel, dry_run=dry_run)
            show(f"{cancel}: {'would be' if dry_run else 'is'} reserved no more", name=cancel)
        elif size is not None and name is not None:
            row = client.reserve(name, size, lease, dry_run=dry_run)
            if wait:
                row = Waiting(client, name, lease).until_there(row)
            show("would reserve: " * dry_run + describe(row), reservation=row)
