"""``aerostat check driver``: offers a device to any guest, and judges the driver that turns up."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aerostat.cli import checking

if TYPE_CHECKING:
    from aerostat.testing.check.checks import Choice
    from aerostat.testing.check.driver.stage import Options
    from aerostat.testing.check.verdicts import Known


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
    type=click.Choice(["uml", "process", "qemu", "aerostat"]),
    help="One of the laboratory's guests in the place of COMMAND: Linux in user-mode Linux or in "
    "QEMU, or our own driver in a process or in QEMU (aerostat).",
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
@click.option(
    "--log",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where all goes that COMMAND says, start after start.",
)
@click.option("--print-command", is_flag=True, help="Print what would be started, and end.")
@checking.report_options
def command(
    program: tuple[str, ...],
    guest: str | None,
    features: str | None,
    timeout: float,
    start: float,
    log: Path | None,
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
    $AEROSTAT_SOCKET. Its guest's memory must be shareable. It is started over and over, and always
    ended by SIGKILL, with all that it forked.
    """
    import shlex

    from aerostat.testing.check import telling
    from aerostat.testing.check.driver.guests import KnownGuest, known_guest
    from aerostat.testing.check.driver.stage import OFFERED, Options

    if bool(program) == bool(guest):
        raise click.UsageError("say what to start: COMMAND after --, or --guest")
    with _directory() as directory:
        plain = KnownGuest(list(program), program[0] if program else "", "")
        started = known_guest(guest, directory) if guest else plain
        if print_command:
            click.echo(shlex.join(started.command))
            return 0
        told = Options(
            name=started.name,
            features=OFFERED if features is None else _offer(features.split(",")),
            patience=timeout,
            start=start,
            log=log,
        )
        chosen, reasons = telling.choice(only, skip), telling.known(who or started.who, known)
        return _check(started.command, directory, told, chosen, reasons, options)


def _check(
    program: list[str],
    directory: Path,
    told: "Options",
    chosen: "Choice",
    reasons: "Known",
    options: Mapping[str, Any],
) -> int:
    from aerostat.errors import LinkError, UsageError
    from aerostat.testing.check.driver.all_checks import CHECKS
    from aerostat.testing.check.driver.stage import DriverStage
    from aerostat.testing.check.running import run

    with DriverStage(program, directory, told) as stage:
        try:
            stage.meet()
        except LinkError as error:
            raise UsageError(f"cannot check the driver: {error}") from error
        verdicts = run(stage, CHECKS, choice=chosen, known=reasons, progress=checking.progress)
        return checking.conclude(stage.description(), verdicts, options)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """Yield a directory for the socket; ended by SIGTERM, too, we end what we started."""
    from aerostat.testing.processes.places import run_directory

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    directory = run_directory()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def _offer(names: Sequence[str]) -> int:
    """Return these features, and VERSION_1. Raises `UsageError` for what cannot be offered."""
    from aerostat.balloon.device_features import KNOWN_FEATURES
    from aerostat.errors import UsageError
    from aerostat.testing.check.features import feature_names, feature_set
    from aerostat.virtio.features import VERSION_1, bit

    features = feature_set(names)
    strange = feature_names(features & ~KNOWN_FEATURES)
    if strange:
        raise UsageError(f"cannot be offered: {', '.join(strange)}")
    return features | bit(VERSION_1)
