"""``python3 aerostat-check.pyz``: ``aerostat check device --pci`` in one file, for inside a guest.

The same checks, options, reports and exit codes as on the command line of `cli.check_device`, with
the standard library alone: guests have no other. Touches what `pci_hold` does, and the files that
are to be written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aerostat.errors import AerostatError
from aerostat.testing.check import explaining, telling
from aerostat.testing.check.checks import Check
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.over_pci import OVER_PCI, PACKED_OVER_PCI
from aerostat.testing.check.device.pci_hold import Where, hold
from aerostat.testing.check.device.pci_stage import PciStage
from aerostat.testing.check.device.session import session
from aerostat.testing.check.features import feature_set
from aerostat.testing.check.report import Line

CHECKS_OVER_PCI = (OVER_PCI, PACKED_OVER_PCI)
_WRONG = 2

_EPILOG = """\
exit codes:
  0  nothing is violated that is not known to be
  1  something is violated
  2  the command line is wrong, or the device cannot be had (the message says why)

The device is taken from the kernel's driver, and put back in the end. Bad requests are among the
checks: a VMM that dies of one takes this guest with it, so let --trace tell which it was.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="aerostat-check.pyz",
        description="Hold the balloon device of this virtual machine to the specification.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add(
        "--pci", metavar="ADDRESS", help="which balloon, such as 0000:00:04.0, if there are several"
    )
    add("--legacy", action="store_true", help="use the legacy interface of a transitional device")
    add("--deflate", action="store_true", help="go on though there is memory in the balloon")
    add("--features", metavar="NAME,...", help="what the driver takes of what is offered; else all")
    add("--ring", choices=["split", "packed", "both"], default="both", help="the kind of rings")
    add(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=2.0,
        help="until a device counts as hung",
    )
    words: dict[str, Any] = {"metavar": "ID[,ID...]", "action": "append", "default": []}
    add("--only", help="only these statements or checks; DEV-STATS is all that begin so", **words)
    add("--skip", help="all but these", **words)
    add("--as", dest="who", metavar="NAME", default="", help="whose it is, such as QEMU")
    add("--known", metavar="ID=REASON", action="append", default=[], help="a deviation, and why")
    add("--quiet", "-q", action="store_true", help="print only what is not kept")
    add("--json", action="store_true", help="print JSON")
    add("--junit", metavar="FILE", type=Path, help="write a JUnit report, too")
    add("--trace", action="store_true", help="say on standard error what is played, before it is")
    add("--list", action="store_true", help="list the statements that are looked at")
    add("--explain", metavar="ID", help="say all about a statement")
    return made


def main(arguments: Sequence[str]) -> int:
    """Check; return the process's exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.list or options.explain:
            return _tell(options.explain)
        return _check(options)
    except AerostatError as error:
        sys.stderr.write(f"aerostat check: {error}\n")
        return _WRONG


def _tell(id_: str | None) -> int:
    registries = [OVER_PCI]
    told = explaining.explanation(id_, registries) if id_ else explaining.listing(registries)
    for line in told:
        print(line)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Find out what can be wrong with the command line, and then play."""
    features = -1 if options.features is None else feature_set(options.features.split(","))
    choice = telling.choice(options.only, options.skip)
    choice.check(OVER_PCI)
    known = telling.known(options.who, options.known)
    known.check()
    wishes = telling.Wishes(options.quiet, options.json, options.junit)

    def play(stage: PciStage) -> int:
        trace = _trace if options.trace else None
        verdicts = session(stage, options.ring, choice, known, trace, checks=CHECKS_OVER_PCI)
        return telling.conclude(stage.description(), verdicts, wishes, _say)

    where = Where(options.pci, options.legacy, options.deflate)
    return hold(where, Options(features=features, patience=options.timeout), play)


def _say(line: Line) -> None:
    print(line.text)


def _trace(place: int, count: int, check: Check[Any]) -> None:
    sys.stderr.write(f"{place}/{count} {check.title}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
