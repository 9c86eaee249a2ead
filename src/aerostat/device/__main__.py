"""``python -m aerostat.device``: serve one balloon device."""

import os
import sys

from aerostat.device.options import USAGE, Options, TakeOver, parse
from aerostat.device.server import Server
from aerostat.errors import AerostatError, PeerError, UsageError
from aerostat.virtio.memory import require_ordering


def main(arguments: list[str]) -> int:
    """Run a device process; return its exit status."""
    try:
        options = parse(arguments)
        if options is None:
            sys.stdout.write(USAGE)
            return 0
        require_ordering()
        _server(options).run()
    except UsageError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 2
    except AerostatError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 1
    return 0


def _server(options: Options | TakeOver) -> Server:
    """Return a new device, or one that goes on where another was."""
    if not isinstance(options, TakeOver) and not options.descriptor_store:
        return Server(options)
    from aerostat.device import takeover  # noqa: PLC0415 - seldom needed, and not light

    if isinstance(options, TakeOver):
        return takeover.take_over(options.control)
    if not os.environ.get("NOTIFY_SOCKET"):
        raise UsageError("--descriptor-store is for services of systemd")
    try:
        return takeover.resume(os.environ) or Server(options)
    except PeerError as error:
        sys.stderr.write(f"aerostat device: begins anew: {error}\n")
        return Server(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
