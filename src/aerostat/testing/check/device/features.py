"""Checks of the offer, and of what a driver takes of it (virtio 1.2, 2.2, 5.5.3 and 6)."""

from aerostat.balloon.abi import MUST_TELL_HOST, PAGE_REPORTING
from aerostat.errors import AerostatError, PeerError
from aerostat.testing.check.checks import Judge, Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import good_requests
from aerostat.testing.check.features import FEATURES, feature_names
from aerostat.virtio.features import VERSION_1, bit, has

_SUSPEND = 43  # virtio 1.4
# The balloon's own that there are; a driver may leave any of them out.
_BALLOON = range(MUST_TELL_HOST, PAGE_REPORTING + 1)


@CHECKS.add("ST-DEV-5", "ST-14-1")
def the_offer(machine: Machine, judge: Judge) -> None:
    """Look at the features that are offered."""
    offered = machine.transport.offered
    if machine.transport.is_legacy:
        judge.unobservable("ST-DEV-5", "the legacy interface has 32 features")
    else:
        judge.expect(has(offered, VERSION_1), "ST-DEV-5", "VERSION_1 is not offered")
    if has(offered, _SUSPEND):
        judge.unobservable("ST-14-1", "SUSPEND is offered, and this kit knows nothing of it")


@CHECKS.add("ST-DEV-4", "DEV-FEAT-1", seconds=60)
def every_subset_is_served(machine: Machine, judge: Judge) -> None:
    """Begin with every subset of the balloon's features that are offered, one after the other.

    With each, a good request must be served on every queue that it makes. A device that refuses a
    driver without MUST_TELL_HOST may do so.
    """
    offered = [number for number in _BALLOON if has(machine.offered, number)]
    for choice in range(1 << len(offered)):
        left_out = sum(bit(one) for place, one in enumerate(offered) if not choice >> place & 1)
        features = machine.offered & ~left_out
        try:
            machine.start(features)
        except PeerError as error:
            if has(left_out, MUST_TELL_HOST):
                judge.saw("DEV-FEAT-1", "refuses drivers without MUST_TELL_HOST")
                continue
            judge.violated("ST-DEV-4", f"{_named(left_out)} left out: {error}")
            return
        try:
            good_requests(machine)
        except AerostatError as error:
            judge.violated("ST-DEV-4", f"{_named(left_out)} left out: {error}")
            return


@CHECKS.add("ST-DEV-4")
def what_was_taken_is_taken_again(machine: Machine, judge: Judge) -> None:
    """Begin three times with the same features, and once in between with fewer."""
    fewest = machine.offered & (bit(VERSION_1) | bit(MUST_TELL_HOST))
    for features in (machine.offered, machine.offered, fewest, machine.offered):
        if not judge.expect(
            machine.try_start(features), "ST-DEV-4", "refused when they are taken again"
        ):
            return
        good_requests(machine)


@CHECKS.add("ST-DEV-4")
def what_is_not_offered_is_not_taken(machine: Machine, judge: Judge) -> None:
    """Take, one after the other, features that are not offered.

    No driver may do so; a device that does not refuse it must at least go on as if they were not
    there.
    """
    named = [number for number in FEATURES.values() if not has(machine.transport.offered, number)]
    refused = 0
    for number in [*named, 42, 63]:
        refused += not machine.try_start(machine.offered | bit(number))
        machine.start()
        good_requests(machine)
    judge.saw("ST-DEV-4", f"{refused} of {len(named) + 2} features were refused")


@CHECKS.add("LEG-CFG-1")
def the_configuration_of_legacy_drivers(machine: Machine, judge: Judge) -> None:
    """Write actual without VERSION_1; it must read as little-endian as it was written."""
    if not machine.try_start(machine.offered & ~bit(VERSION_1)):
        raise Unobservable("the device is not transitional: it takes no driver without VERSION_1")
    pages = Pages(machine, machine.pages[1][:1])
    machine.inflate(*pages.numbers)
    machine.transport.write_config(4, (1).to_bytes(4, "little"))
    actual = machine.word(4)
    judge.expect(actual == 1, "LEG-CFG-1", f"actual reads {actual:#x}, and 1 was written")


def _named(features: int) -> str:
    return ", ".join(feature_names(features)) or "nothing"
