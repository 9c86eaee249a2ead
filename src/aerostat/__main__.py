"""``python -m aerostat``, and the ``aerostat`` command."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C ends it quietly even while it is still being loaded."""
    try:
        from aerostat.cli.main import main as run  # noqa: PLC0415 - what takes its time
    except KeyboardInterrupt:
        sys.exit(130)  # as `ExitCode.INTERRUPTED`, which may not be loaded yet
    run()


if __name__ == "__main__":
    main()
