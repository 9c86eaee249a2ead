"""A device with a fault: ``python -m aerostat.testing.check.device.faults.serving NAME OPTION...``.

The options are those of ``python -m aerostat.device``.
"""

import sys

from aerostat.device.__main__ import main as serve
from aerostat.testing.check.device.faults import (
    bad_input,
    conversation,
    packed,
    pages,
    rings,
    statistics,
)
from aerostat.testing.check.device.faults.terms import FAULTS

#: The rooms that have faults.
ROOMS = (pages, rings, packed, statistics, conversation, bad_input)


def main() -> int:
    """Serve; return the exit status."""
    name, *options = sys.argv[1:]
    fault = FAULTS.find(name)
    fault.plant()
    return serve([*options, *fault.options])


if __name__ == "__main__":
    sys.exit(main())
