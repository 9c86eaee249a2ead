"""A device with a fault: ``python -m aerostat.testing.check.device.faults.serving NAME OPTION...``.

The options are those of ``python -m aerostat.device``.
"""

import sys

from aerostat.device.__main__ import main as serve
from aerostat.errors import UsageError
from aerostat.testing.check.device.faults import (
    bad_input,
    conversation,
    packed,
    pages,
    rings,
    statistics,
)
from aerostat.testing.check.device.faults.terms import FAULTS, Fault

#: The rooms that have faults.
ROOMS = (pages, rings, packed, statistics, conversation, bad_input)


def find(name: str) -> Fault:
    """Return the fault of that name. Raises `UsageError` if there is none."""
    if name not in FAULTS:
        raise UsageError(f"no fault is called {name}; there are {', '.join(FAULTS)}")
    return FAULTS[name]


def main() -> int:
    """Serve; return the exit status."""
    name, *options = sys.argv[1:]
    fault = find(name)
    fault.plant()
    return serve([*options, *fault.options])


if __name__ == "__main__":
    sys.exit(main())
