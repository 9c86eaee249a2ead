"""``python -m aerostat.process_guest``: be a guest, or a nursery of guests."""

import os
import signal
import socket
import sys

# One thread is enough, and every other would cost each guest memory of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from aerostat.errors import AerostatError, UsageError
from aerostat.process_guest.guest import GuestOptions, run
from aerostat.process_guest.nursery import Nursery
from aerostat.process_guest.options import USAGE, parse


def main(arguments: list[str]) -> int:
    """Run until told to end; return the exit status."""
    try:
        wanted = parse(arguments)
        if wanted.nursery is not None:
            Nursery(socket.socket(fileno=wanted.nursery), main).run()
        elif wanted.guest is not None:
            console = None if wanted.console is None else socket.socket(fileno=wanted.console)
            return _be_guest(wanted.guest, console)
        else:
            sys.stdout.write(USAGE)
    except UsageError as error:
        sys.stderr.write(f"aerostat process guest: {error}\n")
        return 2
    return 0


def _be_guest(options: GuestOptions, console: socket.socket | None) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    error: AerostatError | None = None
    try:
        error = run(options, console)
    except KeyboardInterrupt:
        return 0
    if error is not None:
        sys.stderr.write(f"{options.name}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
