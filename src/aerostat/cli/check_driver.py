"""``aerostat check driver``: offers a device to any guest, and judges the driver that turns up."""

from typing import Any

import click

from aerostat.cli import checking


@click.command(
    "driver",
    short_help="Hold a balloon driver to the specification.",
    epilog="""\b
Exit codes:
  0  nothing is violated that is not known to be
  1  something is violated
  2  the command line is wrong, or nobody comes to the socket

\b
Examples:
  aerostat check driver --guest uml                 Linux's driver, in user-mode Linux
  aerostat check driver --guest process             our own, in an ordinary process
  aerostat check driver -- ./my-vmm --balloon {socket} --kernel k
  aerostat check driver --only DRV-STATS,BAD --guest uml
""",
)
@click.argument("program", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--guest",
    type=click.Choice(["uml", "process", "qemu"]),
    help="One of the laboratory's guests in the place of COMMAND.",
)
@click.option(
    "--features", metavar="NAME,...", help="What is offered, VERSION_1 always; else all there is."
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 600),
    default=10.0,
    show_default=True,
    help="How long the driver may take for any one thing.",
)
@click.option(
    "--start",
    metavar="SECONDS",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    help="How long the guest may take to get its driver to work.",
)
@click.option("--print-command", is_flag=True, help="Print what would be started, and end.")
@checking.report_options
def command(
    program: tuple[str, ...],
    guest: str | None,
    features: str | None,
    timeout: float,
    start: float,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    who: str,
    known: tuple[str, ...],
    *,
    print_command: bool,
    **options: Any,
) -> int:
    """Offer a balloon device to the guest that COMMAND starts, and judge its driver.

    COMMAND finds the device's vhost-user socket in place of {socket} in its arguments, and in
    $AEROSTAT_SOCKET. Its guest's memory must be shareable. It is started some ten times, and always
    ended by SIGKILL, all that it forked included.
    """
    import shlex
    import shutil
    import tempfile
    from pathlib import Path

    from aerostat.errors import LinkError, UsageError
    from aerostat.testing.check.driver import guests
    from aerostat.testing.check.driver.all_checks import CHECKS
    from aerostat.testing.check.driver.stage import OFFERED, DriverStage, Options
    from aerostat.testing.check.features import feature_set
    from aerostat.testing.check.running import run
    from aerostat.testing.processes.places import run_directory

    if bool(program) == bool(guest):
        raise click.UsageError("say what to start: COMMAND after --, or --guest")
    directory = run_directory(tempfile.gettempdir())
    try:
        started = guests.command(guest, Path(directory)) if guest else program
        if print_command:
            click.echo(shlex.join(started))
            return 0
        told = Options(
            features=OFFERED if features is None else _offer(feature_set(features.split(","))),
            patience=timeout,
            start=start,
        )
        chosen = checking.choice(only, skip)
        reasons = checking.known(who or guests.WHO.get(guest or "", ""), known)
        with DriverStage(started, directory, told) as stage:
            try:
                stage.meet()
            except LinkError as error:
                raise UsageError(f"cannot check the driver: {error}") from error
            verdicts = run(stage, CHECKS, choice=chosen, known=reasons, progress=checking.progress)
            return checking.conclude(stage.description(), verdicts, options)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _offer(features: int) -> int:
    from aerostat.balloon.device_features import KNOWN_FEATURES
    from aerostat.errors import UsageError
    from aerostat.testing.check.features import feature_names
    from aerostat.virtio.features import VERSION_1, bit

    strange = feature_names(features & ~KNOWN_FEATURES)
    if strange:
        raise UsageError(f"cannot be offered: {', '.join(strange)}")
    return features | bit(VERSION_1)
