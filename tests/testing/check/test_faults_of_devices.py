"""The kit is tested by devices that are broken on purpose: it finds them, and no others.

Here are some, of each kind and quickly found; ``python -m
aerostat.testing.check.device.faults.finding`` has the kit look for all, by all that it has.
"""

import pytest

from aerostat.testing.check.device.all_checks import CHECKS
from aerostat.testing.check.device.faults.finding import look_for
from aerostat.testing.check.device.faults.serving import ROOMS
from aerostat.testing.check.device.faults.terms import FAULTS

QUICK = (
    "inflated-pages-are-kept",
    "the-answer-comes-before-the-pages-go",
    "a-page-too-many-is-taken",
    "the-last-page-of-a-range-is-forgotten",
    "pages-are-taken-when-they-are-taken-back",
    "reported-pages-are-kept",
    "a-page-beside-a-report-is-taken",
    "poison-is-not-kept",
    "reported-pages-are-taken-again",
    "hints-of-any-round-are-used",
    "parts-of-pages-are-taken",
    "requests-are-answered-twice",
    "the-wrong-request-is-answered",
    "one-descriptor-is-read",
    "write-counts-on-an-indirect-table",
    "requests-are-written-to",
    "a-held-buffer-counts-as-used",
    "a-broken-ring-is-left-alone-silently",
    "version-1-is-not-offered",
    "statistics-cannot-be-left-out",
    "the-configuration-waits-for-features",
    "drivers-write-the-target",
    "actual-reads-as-zero",
    "legacy-drivers-have-a-big-endian-configuration",
    "unknown-requests-succeed",
    "messages-must-come-whole",
    "all-of-the-configuration-is-answered",
    "a-table-is-taken-once",
    "the-configuration-is-announced-at-once",
    "configuration-beyond-the-end-ends-it",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_device_with_a_fault_is_found(name: str) -> None:
    fault = FAULTS.find(name)
    found = look_for(fault, only=fault.ids)
    assert found.right, f"{found.ids}, and not {found.wanted}"


def test_faults_violate_what_is_looked_at() -> None:
    assert ROOMS
    assert len(FAULTS) >= 40
    looked_at = {id_ for check in CHECKS.checks for id_ in check.ids}
    for fault in FAULTS.values():
        assert {*fault.ids} <= looked_at, fault.name
