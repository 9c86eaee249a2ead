"""The kit is tested by drivers that are broken on purpose: it finds them, and no others.

Here are some, of each kind and quickly found; ``make check-kit`` has the kit look for all of them,
by all that it has.
"""

import pytest

from aerostat.testing.check.driver.all_checks import CHECKS
from aerostat.testing.check.driver.faults.finding import look_for
from aerostat.testing.check.driver.faults.guest import ROOMS, find
from aerostat.testing.check.driver.faults.terms import FAULTS

QUICK = (
    "sends-addresses-for-page-numbers",
    "uses-a-page-that-it-gives",
    "hints-nothing",
    "has-reserved-flags-in-its-avail-rings",
    "dies-when-its-device-is-gone",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_driver_with_a_fault_is_found(name: str) -> None:
    fault = find(name)
    found = look_for(fault, only=fault.ids)
    assert found.right, f"{found.ids}, and not {found.wanted}"


@pytest.mark.slow
@pytest.mark.statement("DRV-POISON-2")
def test_a_driver_tells_its_poison_to_a_new_device_too() -> None:
    found = look_for(find("poisoned"), only=["BAD-DRV-6", "DRV-POISON-2"])
    assert found.ids == ()


def test_faults_violate_what_is_looked_at() -> None:
    assert ROOMS
    assert len(FAULTS) >= 40
    looked_at = {id_ for check in CHECKS.checks for id_ in check.ids}
    for fault in FAULTS.values():
        assert {*fault.ids} <= looked_at, fault.name
