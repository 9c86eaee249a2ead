"""``python -m aerostat.guest``: drive this guest's balloon in place of the kernel's driver."""

from __future__ import annotations

import getopt
import sys
from typing import NamedTuple

from aerostat.errors import AerostatError, UsageError
from aerostat.guest.check import check
from aerostat.guest.log import Log
from aerostat.guest.permissions import NoDeviceError, NotPermittedError
from aerostat.guest.supervisor import supervise

USAGE = """\
Usage: aerostat guest [OPTION]...

Drive this virtual machine's balloon from user space, in place of the kernel's own driver: send
memory statistics to the host, and give and take memory as it asks. For a real Linux guest, as
root. The device is taken from the kernel, and put back in the end, whatever that end is.

  --device ADDRESS   which balloon, such as 0000:00:04.0; needed only if there are several
  --legacy           use the legacy interface of a transitional device
  --dry-run          say what would be done, and change nothing
  --help             show this

It runs until SIGTERM or SIGINT, then gives everything back. On standard error it tells what the
host asks for and what became of it.

Exit status: 0 ended as asked, 1 failed, 2 wrong usage, 3 no such balloon, 4 not permitted (not
root, or the kernel is locked down).
"""

_LONG = ["device=", "legacy", "dry-run", "help"]


class Arguments(NamedTuple):
    """The command line."""

    device: str | None
    legacy: bool
    dry_run: bool


def parse(arguments: list[str]) -> Arguments | None:
    """Return what the command line asks for, None for help; raises `UsageError`."""
    try:
        pairs, rest = getopt.getopt(arguments, "h", _LONG)
    except getopt.GetoptError as error:
        raise UsageError(f"{error}; see --help") from error
    if rest:
        raise UsageError(f"unexpected: {rest[0]}; see --help")
    given = dict(pairs)
    if "--help" in given or "-h" in given:
        return None
    return Arguments(given.get("--device"), "--legacy" in given, "--dry-run" in given)


def exit_code(error: AerostatError) -> int:
    """Return the exit status for `error`; as of the whole command line."""
    codes = ((UsageError, 2), (NoDeviceError, 3), (NotPermittedError, 4))
    return next((code for kind, code in codes if isinstance(error, kind)), 1)


def main(arguments: list[str]) -> int:
    """Run the driver; return the process's exit status."""
    try:
        options = parse(arguments)
        if options is None:
            sys.stdout.write(USAGE)
        elif options.dry_run:
            for line in check(options.device, legacy=options.legacy):
                sys.stdout.write(f"{line}\n")
        else:
            supervise(options.device, legacy=options.legacy, log=Log("aerostat guest"))
    except AerostatError as error:
        sys.stderr.write(f"aerostat guest: {error}\n")
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
