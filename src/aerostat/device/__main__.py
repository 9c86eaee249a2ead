"""``python -m aerostat.device``: serve one balloon device.

Reads its command line with `getopt`, since `argparse` weighs a good part of what a device process
may weigh.
"""

import getopt
import sys
from typing import cast, get_args

from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_POISON, PAGE_REPORTING, QueueRule
from aerostat.balloon.device import DEFAULT_FEATURES
from aerostat.device.server import Options, Server
from aerostat.errors import AerostatError, UsageError
from aerostat.units import parse_size
from aerostat.virtio.features import bit

USAGE = """\
Usage: python -m aerostat.device --socket PATH --control PATH [OPTION]...

Serve one balloon device to a VMM over vhost-user, until SIGTERM.

  --socket PATH          where the VMM's vhost-user front-end connects
  --control PATH         where QMP clients connect
  --size SIZE            the guest's RAM, such as 512MiB; default: what the VMM shares
  --name NAME            what query-name answers, and what messages begin with
  --once                 end when the VMM disconnects, instead of awaiting the next
  --queues RULE          how the driver numbers its queues: dense-negotiated (as Linux),
                         dense-offered or fixed; default: found out by what it sets up
  --no-deflate-on-oom    do not let the guest take pages back to avoid killing a process
  --no-free-page-reporting
                         do not let the guest tell of pages that are free, and take them
  --no-page-poison       do not let the guest say what it fills free pages with
  --help                 show this
"""

# Options without a value that each leave a feature out.
_WITHOUT = {
    "no-deflate-on-oom": DEFLATE_ON_OOM,
    "no-free-page-reporting": PAGE_REPORTING,
    "no-page-poison": PAGE_POISON,
}
_LONG = ["socket=", "control=", "size=", "name=", "once", "queues=", *_WITHOUT, "help"]


def parse(arguments: list[str]) -> Options | None:
    """Return what the command line asks for, None for help; raises `UsageError`."""
    try:
        pairs, rest = getopt.getopt(arguments, "", _LONG)
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from error
    if rest:
        raise UsageError(f"unexpected: {rest[0]}")
    given = dict(pairs)
    if "--help" in given:
        return None
    for required in ("--socket", "--control"):
        if not given.get(required):
            raise UsageError(f"{required} PATH is required")
    size = parse_size(given["--size"]) if "--size" in given else None
    if size is not None and size <= 0:
        raise UsageError("--size must be more than nothing")
    rule = given.get("--queues")
    if rule is not None and rule not in get_args(QueueRule):
        raise UsageError(f"--queues is one of {', '.join(get_args(QueueRule))}")
    features = DEFAULT_FEATURES
    for option, feature in _WITHOUT.items():
        if f"--{option}" in given:
            features &= ~bit(feature)
    return Options(
        socket=given["--socket"],
        control=given["--control"],
        size=size,
        name=given.get("--name"),
        once="--once" in given,
        features=features,
        queues=cast("QueueRule | None", rule),
    )


def main(arguments: list[str]) -> int:
    """Run a device process; return its exit status."""
    try:
        options = parse(arguments)
        if options is None:
            sys.stdout.write(USAGE)
            return 0
        Server(options).run()
    except UsageError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 2
    except AerostatError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
