"""All checks of devices, in the order in which they are played. Importing it registers them."""

# ruff: noqa: I001 - the order is that in which they are played
from aerostat.testing.check.device import handshake
from aerostat.testing.check.device import features
from aerostat.testing.check.device import configuration
from aerostat.testing.check.device import pages
from aerostat.testing.check.device import statistics
from aerostat.testing.check.device import reporting
from aerostat.testing.check.device import hinting
from aerostat.testing.check.device import notifications
from aerostat.testing.check.device import chains
from aerostat.testing.check.device import life
from aerostat.testing.check.device import memory_table
from aerostat.testing.check.device import packed
from aerostat.testing.check.device import bad_input
from aerostat.testing.check.device import bad_packed
from aerostat.testing.check.device import bad_talk
from aerostat.testing.check.checks import Registry
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.registry import CHECKS

#: The rooms that have checks.
ROOMS = (
    handshake,
    features,
    configuration,
    pages,
    statistics,
    reporting,
    hinting,
    notifications,
    chains,
    life,
    memory_table,
    packed,
    bad_input,
    bad_packed,
    bad_talk,
)

_PCI = "PCI is the VMM's, and is seen from inside a guest: aerostat check device --pci"
_HOST = "what the device makes of it, only its host can say"
CHECKS.unobservable.update(
    {
        "LEG-OP-3": _HOST,
        "DEV-HINT-2": "only a host begins rounds",
        "DEV-HINT-4": "a permission, and only who tracks writes knows whether it holds",
        "DEV-HINT-6": "only a host begins rounds",
        "LEG-HINT-1": "only a host begins rounds",
        "LEG-VQ-1": "over vhost-user each part of a ring is told by itself",
        **{f"PCI-{number}": _PCI for number in range(9, 13)},
        "LEG-PCI-1": _PCI,
    }
)


def _of_packed_rings() -> Registry[Machine]:
    """Return the checks that are played on packed rings, too, and those that need them.

    What is said on the socket is the same whatever the rings are; what legacy drivers do is not
    done on packed ones.
    """
    both = (pages, statistics, reporting, hinting, notifications, chains, life, memory_table)
    registry: Registry[Machine] = Registry(CHECKS.side)
    for check in CHECKS.checks:
        room = check.play.__module__
        if check.needs == ("RING_PACKED",):
            registry.put(check)
        elif room in {one.__name__ for one in both} and not check.ids[0].startswith("LEG-"):
            registry.put(check._replace(parameter="on packed rings"))
    return registry


#: What is played once more where packed rings are offered.
PACKED = _of_packed_rings()

__all__ = ["CHECKS", "PACKED", "ROOMS"]
