"""``aerostat check device``: plays the driver against any balloon device, vhost-user's or PCI's."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from aerostat.cli import checking
from aerostat.cli.options import SIZE

if TYPE_CHECKING:
    from aerostat.balloon.abi import QueueRule
    from aerostat.testing.check.checks import Choice
    from aerostat.testing.check.device.options import Options
    from aerostat.testing.check.device.pci_hold import Where
    from aerostat.testing.check.device.pci_stage import PciStage
    from aerostat.testing.check.verdicts import Known

_RULES = ("dense-offered", "dense-negotiated", "fixed")


@click.command(
    "device",
    short_help="Hold a vhost-user or PCI balloon device to the specification.",
    epilog="""\b
Exit codes:
  0  nothing is violated that is not known to be
  1  something is violated
  2  the command line is wrong, or nobody can be met at the socket

\b
Examples:
  aerostat check device /run/vm/balloon.sock
  aerostat check device b.sock -- ./my-balloon --socket b.sock    started, and again if it dies
  aerostat check device b.sock --only DEV-STATS,BAD               some of it
  aerostat check device b.sock --junit report.xml                 for a build
  aerostat check device --pci 0000:00:04.0 --as QEMU              inside a guest, as root
""",
)
@click.argument("socket", type=click.Path(path_type=Path), required=False)
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--pci",
    metavar="ADDRESS",
    help="Inside a guest: check its own balloon, at this address of the PCI bus.",
)
@click.option("--legacy", is_flag=True, help="With --pci: use the legacy interface.")
@click.option(
    "--deflate", is_flag=True, help="With --pci: go on though there is memory in the balloon."
)
@click.option(
    "--memory", metavar="SIZE", type=SIZE, default="64MiB", show_default=True,
    help="The memory of the guest that is played.",
)  # fmt: skip
@click.option(
    "--features", metavar="NAME,...", help="What the driver takes of what is offered; else all."
)
@click.option(
    "--ring",
    type=click.Choice(["split", "packed", "both"]),
    default="both",
    show_default=True,
    help="The kind of rings; packed ones only where they are offered.",
)
@click.option(
    "--queues",
    type=click.Choice(_RULES),
    default=_RULES[0],
    show_default=True,
    help="How queues are numbered where a feature is left out.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 60),
    default=2.0,
    show_default=True,
    help="How long the device may say nothing until it counts as hung.",
)
@checking.report_options
def command(
    socket: Path | None,
    program: tuple[str, ...],
    pci: str | None,
    memory: int,
    features: str | None,
    ring: str,
    queues: str,
    timeout: float,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    who: str,
    known: tuple[str, ...],
    *,
    legacy: bool,
    deflate: bool,
    **options: Any,
) -> int:
    """Play the driver against the vhost-user balloon device that listens at SOCKET.

    Each check has a connection and a guest of its own. With PROGRAM, the device is started by it,
    and again whenever it has ended. With --pci, for which docs/check.md has a file to copy, the
    device is the one that this virtual machine has; it is put back in the end.
    """
    from aerostat.errors import AerostatError, UsageError
    from aerostat.testing.check import telling
    from aerostat.testing.check.device.options import Options
    from aerostat.testing.check.device.pci_hold import Where
    from aerostat.testing.check.device.session import session
    from aerostat.testing.check.device.stage import SocketStage
    from aerostat.testing.check.features import feature_set

    told = Options(
        memory=memory,
        features=-1 if features is None else feature_set(features.split(",")),
        rule=cast("QueueRule", queues),
        patience=timeout,
    )
    chosen, reasons = telling.choice(only, skip), telling.known(who, known)
    if (socket is None) == (pci is None):
        raise UsageError("say which device: either SOCKET or --pci ADDRESS")
    if pci is not None:
        return _over_pci(Where(pci, legacy, deflate), told, ring, (chosen, reasons), options)
    assert socket is not None
    with SocketStage(socket, told, program) as stage:
        try:
            stage.meet()
        except AerostatError as error:
            raise UsageError(f"cannot check the device: {error}") from error
        verdicts = session(stage, ring, chosen, reasons, checking.progress)
        return checking.conclude(stage.description(), verdicts, options)


def _over_pci(
    where: "Where",
    told: "Options",
    ring: str,
    wanted: "tuple[Choice, Known]",
    options: Mapping[str, Any],
) -> int:
    """Check this guest's own device; `wanted` is what is chosen, and what is known."""
    from aerostat.errors import AerostatError, UsageError
    from aerostat.testing.check.device.over_pci import OVER_PCI, PACKED_OVER_PCI
    from aerostat.testing.check.device.pci_hold import hold
    from aerostat.testing.check.device.session import session

    def play(stage: "PciStage") -> int:
        both = (OVER_PCI, PACKED_OVER_PCI)
        verdicts = session(stage, ring, *wanted, checking.progress, checks=both)
        return checking.conclude(stage.description(), verdicts, options)

    try:
        return hold(where, told, play)
    except AerostatError as error:
        raise UsageError(f"cannot check the device: {error}") from error
