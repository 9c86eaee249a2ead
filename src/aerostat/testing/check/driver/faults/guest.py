"""A guest with a fault: ``python -m aerostat.testing.check.driver.faults.guest NAME OPTION...``.

The options are those of ``python -m aerostat.process_guest``. Two names are no faults: ``none``,
and ``poisoned`` for a sound driver that negotiates PAGE_POISON.
"""

import sys

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
from aerostat.testing.check.driver.faults.terms import FAULTS
from aerostat.testing.check.seeded import Fault

#: The rooms that have faults.
ROOMS = (beginning, pages, statistics, reports, hints, rings, endurance)

#: Guests without a fault, in which the kit must find none.
SOUND = {
    "none": Fault("none", (), lambda: None),
    "poisoned": Fault("poisoned", (), reports.take_poison),
}


def find(name: str) -> Fault:
    """Return the fault of that name, or what has none. Raises `UsageError` if there is neither."""
    return SOUND[name] if name in SOUND else FAULTS.find(name)


def main() -> int:
    """Be a guest; return the exit status."""
    name, *options = sys.argv[1:]
    find(name).plant()
    return be_guest(options)


if __name__ == "__main__":
    sys.exit(main())
