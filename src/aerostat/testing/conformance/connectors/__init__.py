"""What every connector promises (`aerostat.hypervisors.base`), as checks for any of them.

A check is a function of a `World`: a connector, its guests, and the hypervisor behind it in the
test's hands; what a `world` cannot do is not checked there. `CHECKS` are all of them: `basics` and
`life` for guests of any kind, `figures` for those that say what they are told to. The worlds that
there are: `real`, with Linux in plain QEMU and in libvirt's; `light`, our own device and libvirt's
test driver; and `scripted`, a QMP monitor and a libvirt where everything can go wrong.
"""

from aerostat.testing.conformance.connectors import basics, figures, life
from aerostat.testing.conformance.connectors.world import Check, World

__all__ = ["CHECKS", "Check", "checks_for"]

CHECKS: tuple[Check, ...] = (*basics.CHECKS, *life.CHECKS, *figures.CHECKS)


def checks_for(world: type[World]) -> list[Check]:
    """Return the checks that a world can be put to."""
    return [check for check in CHECKS if check.needs <= world.can]
