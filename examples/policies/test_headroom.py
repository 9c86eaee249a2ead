"""The policy keeps the promises that it does not excuse itself from, and does what it is for.

It is found by its name, as aerostat finds it: install the package first, ``pip install -e .``.
"""

from aerostat.daemon.policies import find
from aerostat.testing.policies.stage import Player, Stage
from aerostat.testing.policies.suite import PolicySuite
from aerostat.units import MIB


class TestPromises(PolicySuite):
    """Each promise is a test; those that are excused are left to aerostat's safeguards."""

    policy = find("headroom")
    excused = ("gives at once", "takes slowly", "on need", "nothing twice")


def test_a_guest_has_what_it_uses_and_a_quarter_more() -> None:
    """A guest that uses 400 MiB is left 500 MiB."""
    stage = Stage([[1024]], [1024])
    stage.use[0] = 400 * MIB
    Player(find("headroom"), stage).play(10)

    assert stage.size[0] == 500 * MIB
