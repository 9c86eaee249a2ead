"""``aerostat doctor``: what is right and wrong with the host and its guests, and what mends it."""

from pathlib import Path

import click

from aerostat.cli.options import json_option, libvirt_option, qmp_option, socket_option

# What monitoring takes for "cannot be known".
_UNKNOWN = 3


@click.command(
    "doctor",
    short_help="Find out what is wrong, and what mends it.",
    epilog="""\b
Exit codes, as monitoring expects them:
  0  all is well            2  something does not work
  1  a warning              3  it could not be found out

\b
Examples:
  aerostat doctor                          the host, the running manager and its guests
  aerostat doctor web1                     one guest
  aerostat doctor --quiet                  only what is wrong
  aerostat doctor --qmp '/run/vm/*.qmp'    without a manager
  aerostat doctor --libvirt qemu:///system
""",
)
@click.argument("guest", required=False)
@qmp_option("Look at these guests directly, without a manager.")
@libvirt_option("Look at the guests of this libvirt directly, without a manager.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where no manager runs: whose guests to look at.",
)
@socket_option
@click.option("--quiet", "-q", is_flag=True, help="Print only what is wrong.")
@json_option
def command(
    guest: str | None,
    globs: tuple[str, ...],
    uris: tuple[str, ...],
    config: Path | None,
    socket: Path | None,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Find out what is right and what is wrong, and what mends it. Changes nothing.

    Looks at the host, the manager that runs, and all guests or only GUEST (a name, UUID or key).
    """
    import json
    import logging

    from aerostat.cli.doctor_visit import Wanted, visit
    from aerostat.cli.errors import one_line
    from aerostat.doctor import report
    from aerostat.doctor.findings import status
    from aerostat.errors import AerostatError

    # What connectors would log is among what is found.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        findings = visit(Wanted(guest, globs, uris, socket, config))
    except (AerostatError, OSError) as error:
        click.echo(f"error: {one_line(error)}", err=True)
        return _UNKNOWN
    if as_json:
        click.echo(json.dumps(report.to_json(findings), indent=2))
        return status(findings)
    for line in report.lines(findings, quiet=quiet):
        click.secho(line.text, fg=line.colour, bold=line.heading)
    if not quiet:
        click.echo(report.summary(findings))
    return status(findings)
