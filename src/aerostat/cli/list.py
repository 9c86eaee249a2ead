"""``aerostat list``: all guests, a line each."""

from pathlib import Path

import click

from aerostat.cli.options import json_option, libvirt_option, qmp_option, socket_option

FORMATS = ("table", "json", "jsonl", "csv")
# Of `aerostat.tui.states.SORTS`; not imported for the sake of a quick --help.
SORTS = ("name", "pressure", "size", "held", "demand", "available", "max", "age", "condition")


@click.command(
    "list",
    short_help="Show all guests, a line each.",
    epilog="""\b
Examples:
  aerostat list                          what the running manager sees
  aerostat list --sort pressure          those in need first
  aerostat list -o csv                   for a spreadsheet
  aerostat list --json                   everything, for programs
  aerostat list --libvirt qemu:///system ask libvirt, once, without a manager
  aerostat list --qmp '/run/vm/*.qmp'    ask the guests themselves
""",
)
@click.option(
    "--sort",
    "by",
    type=click.Choice(SORTS),
    default="name",
    show_default=True,
    help="The order; figures go from the largest down.",
)
@click.option(
    "-o",
    "--output",
    "output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="The format; JSON and CSV have bytes and seconds.",
)
@json_option
@libvirt_option("Read the guests of this libvirt directly, without a manager.")
@qmp_option("Read these guests directly, without a manager.")
@socket_option
def command(
    by: str,
    output: str,
    globs: tuple[str, ...],
    uris: tuple[str, ...],
    socket: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show all guests, a line each; then the host, what is reserved, and what is wrong.

    CONDITION says how far a guest can be managed, and for how long that has been so; WAY how its
    figures come: by the statistics queue of its balloon, or from an agent in it.
    """
    from dataclasses import replace

    from aerostat.cli import report
    from aerostat.cli.rows import read_snapshot
    from aerostat.tui.states import sort

    snapshot = read_snapshot(globs, socket, uris)
    snapshot = replace(snapshot, guests=sort(snapshot.guests, by))
    if as_json or output == "json":
        click.echo(
            report.to_json(
                wall=snapshot.wall,
                guests=snapshot.guests,
                hosts=snapshot.hosts,
                reservations=snapshot.reservations,
                problems=snapshot.problems,
            )
        )
    elif output == "jsonl":
        for guest in snapshot.guests:
            click.echo(report.json_line(wall=snapshot.wall, guest=guest))
    elif output == "csv":
        click.echo(report.csv_text(snapshot.guests, snapshot.wall))
    else:
        click.echo(report.list_table(snapshot.guests))
        for line in report.house_lines(snapshot):
            click.echo(line)
