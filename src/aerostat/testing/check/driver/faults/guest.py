"""A guest with a fault: ``python -m aerostat.testing.check.driver.faults.guest NAME OPTION...``.

The options are those of ``python -m aerostat.process_guest``. Two names are no faults: ``none``,
and ``poisoned`` for a sound driver that negotiates PAGE_POISON.
"""

import sys

from aerostat.errors import UsageError
from aerostat.process_guest.__main__ import main as be_guest
from aerostat.testing.check.driver.faults import (
    beginning,
    endurance,
    hints,
    pages,
    reports,
    rings,
    statistics,
)
from aerostat.testing.check.driver.faults.terms import FAULTS, Fault

#: The rooms that have faults.
ROOMS = (beginning, pages, statistics, reports, hints, rings, endurance)

#: Guests without a fault, in which the kit must find none.
SOUND = {
    "none": Fault("none", (), lambda: None),
    "poisoned": Fault("poisoned", (), reports.take_poison),
}


def find(name: str) -> Fault:
    """Return the fault of that name. Raises `UsageError` if there is none."""
    found = FAULTS.get(name) or SOUND.get(name)
    if found is None:
        raise UsageError(f"no fault is called {name}; there are {', '.join(FAULTS)}")
    return found


def main() -> int:
    """Be a guest; return the exit status."""
    name, *options = sys.argv[1:]
    find(name).plant()
    return be_guest(options)


if __name__ == "__main__":
    sys.exit(main())
