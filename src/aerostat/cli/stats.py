"""``aerostat stats GUEST``: everything that a guest says of its memory."""

from pathlib import Path

import click

from aerostat.cli.options import GUEST, json_option, libvirt_option, qmp_option, socket_option
from aerostat.errors import LinkError, UsageError


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
@click.argument("guest", type=GUEST)
@click.option("--human", is_flag=True, help="Print sizes with units.")
@click.option("--bytes", "in_bytes", is_flag=True, help="Print sizes in bytes.")
@json_option
@libvirt_option("Read the guest directly through this libvirt, without a manager.")
@qmp_option("Read the guest directly, without a manager.")
@socket_option
def command(
    guest: str,
    globs: tuple[str, ...],
    uris: tuple[str, ...],
    socket: Path | None,
    *,
    human: bool,
    in_bytes: bool,
    as_json: bool,
) -> None:
    """Show the statistics of GUEST (a name, UUID or key) as lines of a key and a value.

    First the lines of 'virsh dommemstat', by its names and in its order; then all else that is
    known. Sizes are KiB, as there; what is not known is left out.
    """
    from aerostat.cli.report import to_json
    from aerostat.cli.rows import read_guest
    from aerostat.cli.statistics import stats_lines

    if human + in_bytes + as_json > 1:
        raise UsageError("--human, --bytes and --json exclude each other; give one of them")
    row, wall = read_guest(guest, globs, socket, uris)
    if (globs or uris) and row.error:
        raise LinkError(f"{row.name} cannot be read: {row.error}")
    if as_json:
        click.echo(to_json(wall=wall, guest=row))
        return
    unit = "human" if human else "bytes" if in_bytes else "kib"
    for line in stats_lines(row, wall, unit):  # type: ignore[arg-type]  # one of the three
        click.echo(line)
