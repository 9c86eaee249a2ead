"""``python -m aerostat.device``: serve one balloon device."""

import sys

from aerostat.device.options import USAGE, TakeOver, parse
from aerostat.device.server import Server
from aerostat.errors import AerostatError, UsageError
from aerostat.virtio.memory import require_ordering


def main(arguments: list[str]) -> int:
    """Run a device process; return its exit status."""
    try:
        options = parse(arguments)
        if options is None:
            sys.stdout.write(USAGE)
            return 0
        require_ordering()
        if isinstance(options, TakeOver):
            from aerostat.device.takeover import take_over  # noqa: PLC0415 - seldom, and not light

            server = take_over(options.control)
        else:
            server = Server(options)
        server.run()
    except UsageError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 2
    except AerostatError as error:
        sys.stderr.write(f"aerostat device: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
