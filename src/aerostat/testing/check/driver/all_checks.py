"""All checks of drivers, in the order in which they are played. Importing it registers them."""

# ruff: noqa: I001 - the order is that in which they are played
from aerostat.testing.check.driver import beginning
from aerostat.testing.check.driver import statistics
from aerostat.testing.check.driver import pages
from aerostat.testing.check.driver import reports
from aerostat.testing.check.driver import hints
from aerostat.testing.check.driver import packed
from aerostat.testing.check.driver import provocations
from aerostat.testing.check.driver import conduct
from aerostat.testing.check.driver.registry import CHECKS

#: The rooms that have checks.
ROOMS = (beginning, statistics, pages, reports, hints, packed, provocations, conduct)

_PERMISSION = "a permission: a driver keeps it whatever it does"
_INSIDE = "what a page holds when it is used again is between the guest and its kernel"
_LEGACY = "the offer has VERSION_1: no driver is a legacy one here"
_HIDDEN = "vhost-user does not show it"
_PCI = "PCI is the VMM's, and is seen from inside a guest"

CHECKS.unobservable.update(
    {
        "DRV-OP-2": _PERMISSION,
        "DRV-OP-3": _PERMISSION,
        "DRV-OP-5": _PERMISSION,
        "DRV-OP-8": _PERMISSION,
        "DRV-OP-12": _PERMISSION,
        "DRV-STATS-6": _PERMISSION,
        "DRV-STATS-7": _PERMISSION,
        "DRV-HINT-7": _PERMISSION,
        "DRV-REP-4": _PERMISSION,
        "DRV-POISON-1": _INSIDE,
        "DRV-HINT-8": _INSIDE,
        "DRV-HINT-9": _INSIDE,
        "DRV-REP-1": _INSIDE,
        "DRV-REP-6": _INSIDE,
        "LEG-CFG-1": _LEGACY,
        "LEG-STATS-1": _LEGACY,
        "LEG-HINT-1": _LEGACY,
        "LEG-VQ-1": _LEGACY,
        "LEG-VQ-2": _LEGACY,
        "CFG-G-1": f"{_HIDDEN}: the configuration has no generation there",
        "CFG-G-3": f"{_HIDDEN}: a front-end asks for as much as its driver knows",
        "ST-DRV-3": f"{_HIDDEN}: front-ends do not tell of DRIVER_OK, or too late",
        "ST-DRV-5": f"{_HIDDEN}: only a front-end that asks for the status hears of it",
        **{id_: _PCI for id_ in CHECKS.statements if "PCI-" in id_},
        "VQ-DRV-11": "a balloon's driver reads nothing that its device writes",
    }
)

__all__ = ["CHECKS", "ROOMS"]
