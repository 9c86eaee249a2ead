"""How a driver begins: features, status, rings, configuration (virtio 1.2, 2.1 to 2.7, 3.1)."""

from aerostat.balloon.abi import MUST_TELL_HOST, PAGE_POISON, PAGE_REPORTING
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.driver.conversation import Conversation
from aerostat.testing.check.driver.registry import CHECKS, SECONDS
from aerostat.testing.check.driver.stage import Subject, expect_work
from aerostat.testing.check.features import feature_names
from aerostat.virtio.features import VERSION_1, has

# Bits of the device status, virtio 1.2, 2.1.
_ACKNOWLEDGE, _DRIVER, _DRIVER_OK, _FEATURES_OK = 1, 2, 4, 8
_IN_ORDER = (_ACKNOWLEDGE, _DRIVER, _FEATURES_OK, _DRIVER_OK)
_FAILED = 128

# Where in the configuration space, 5.5.4.
_ACTUAL, _CMD_ID, _POISON_VAL = range(4, 8), range(8, 12), range(12, 16)
_WHOLE = range(16)

# What a driver is left with that is offered little.
_FEW = ("VERSION_1", "PAGE_REPORTING")


@CHECKS.add("ST-DRV-1", "ST-DRV-2", seconds=SECONDS)
def comes_to_work(subject: Subject, judge: Judge) -> None:
    """Start a guest, and look at the order of what its front-end says.

    Features come before rings; what it tells of the device status must grow bit by bit.
    """
    stand = subject.seen_from_the_start()
    expect_work(stand)
    heard = stand.conversation
    if heard.features and heard.enabled:
        first = heard.features[0][0]
        in_order = first < min(heard.enabled.values())
        judge.expect(in_order, "ST-DRV-1", "rings were enabled before there were features")
    written = [status for _, status in heard.status]
    _look_at_status(written, judge)


def _look_at_status(written: list[int], judge: Judge) -> None:
    if not written:
        judge.unobservable("ST-DRV-1", "its front-end tells no status; features came before rings")
        judge.unobservable("ST-DRV-2", "its front-end tells no status")
        return
    before = 0
    for status in written:
        told = f"{status:#x} after {before:#x}"
        judge.expect(status == 0 or status & before == before, "ST-DRV-2", told)
        judge.expect(not before & _FAILED or status == 0, "ST-DRV-2", f"{told}, without a reset")
        before = status
    moments = [_first(written, one) for one in _IN_ORDER]
    if None in moments:
        judge.unobservable("ST-DRV-1", f"its front-end tells only some of the status: {written}")
        return
    told_moments = [moment for moment in moments if moment is not None]
    judge.expect(told_moments == sorted(told_moments), "ST-DRV-1", f"status {written}")


def _first(written: list[int], wanted: int) -> int | None:
    return next((place for place, status in enumerate(written) if status & wanted), None)


@CHECKS.add("ST-DRV-4", "ST-DRV-6", "DRV-FEAT-1", seconds=SECONDS)
def takes_features(subject: Subject, judge: Judge) -> None:
    """Offer all that is known; what the driver takes must be among it, and stay.

    MUST_TELL_HOST should be taken, and VERSION_1 must be.
    """
    stand = subject.seen_from_the_start()
    offered = stand.device.features
    heard = stand.conversation
    for _, features in heard.features:
        strange = ", ".join(feature_names(features & ~offered))
        judge.expect(not strange, "ST-DRV-4", f"took {strange}, which is not offered")
    at_work_since = min(heard.enabled.values(), default=heard.messages)
    before = [features for when, features in heard.features if when < at_work_since]
    after = [features for when, features in heard.features if when > at_work_since]
    changed = [features for features in after if before and features != before[-1]]
    judge.expect(not changed, "ST-DRV-4", "took other features while rings ran")
    expect_work(stand)
    taken = stand.device.negotiated
    judge.expect(has(taken, VERSION_1), "ST-DRV-6", "left VERSION_1")
    if has(offered, MUST_TELL_HOST):
        judge.expect(has(taken, MUST_TELL_HOST), "DRV-FEAT-1", "left MUST_TELL_HOST")
    else:
        judge.unobservable("DRV-FEAT-1", "MUST_TELL_HOST is not offered")


@CHECKS.add("CFG-1", "CFG-G-5", seconds=SECONDS)
def reads_its_configuration(subject: Subject, judge: Judge) -> None:
    """Look at the accesses to the configuration space of a guest that starts.

    num_pages must be read, and nothing written before the features are settled.
    """
    stand = subject.at_work()
    heard = stand.conversation
    read = stand.wait(lambda: any(not one.written and 0 in one.at for one in heard.config))
    judge.expect(read, "CFG-1", "never read num_pages")
    settled = _settled_at(heard)
    early = [one.at for one in heard.config if one.written and one.when < settled]
    if any(at == _POISON_VAL for at in early) and not heard.status:
        # Some front-ends tell the features only when the driver is ready.
        judge.unobservable("CFG-G-5", "its front-end does not say when features are settled")
        return
    judge.expect(not early, "CFG-G-5", f"wrote at {[at.start for at in early]} before features")


def _settled_at(heard: Conversation) -> int:
    moments = [when for when, status in heard.status if status & _FEATURES_OK]
    return min([*moments, *(when for when, _ in heard.features)], default=0)


@CHECKS.add("VQ-DRV-1", seconds=SECONDS)
def aligns_its_rings(subject: Subject, judge: Judge) -> None:
    """Look at the addresses of the rings that a starting guest describes."""
    heard = subject.seen_from_the_start().conversation
    if not heard.addresses:
        judge.unobservable("VQ-DRV-1", "no ring was described")
    for ring, at in heard.addresses.items():
        for name, address, unit in (
            ("descriptors", at.descriptors, 16),
            ("avail", at.available, 2),
            ("used", at.used, 4),
        ):
            aligned = address % unit == 0
            judge.expect(aligned, "VQ-DRV-1", f"ring {ring}: {name} at {address:#x}")


@CHECKS.add("CFG-G-2", "ST-DRV-4", "DRV-FEAT-3", seconds=SECONDS)
def does_with_few_features(subject: Subject, judge: Judge) -> None:
    """Offer a guest VERSION_1 and free page reporting, and nothing else.

    It must take nothing more, touch no field of what is not offered, and inflate as before. If it
    takes PAGE_POISON where that is offered, it counts on its free pages, and must not report them.
    """
    left_out = [name for name in feature_names(subject.options.features) if name not in _FEW]
    stand = subject.fresh(without=left_out)
    taken = stand.device.negotiated
    strange = ", ".join(feature_names(taken & ~stand.device.features))
    judge.expect(not strange, "ST-DRV-4", f"took {strange}, which is not offered")
    stand.settle(256)
    for access in stand.conversation.config:
        if set(access.at) >= set(_WHOLE):
            continue  # some front-ends read and write all of it, whatever the driver does
        for field, name in ((_CMD_ID, "free_page_hint_cmd_id"), (_POISON_VAL, "poison_val")):
            touched = set(access.at) & set(field)
            judge.expect(not touched, "CFG-G-2", f"touched {name}, which is not offered")
    if not has(subject.stage.taken, PAGE_POISON):
        judge.unobservable("DRV-FEAT-3", "it takes no PAGE_POISON, so counts on nothing")
        return
    reporting = has(taken, PAGE_REPORTING)
    judge.expect(not reporting, "DRV-FEAT-3", "reports pages although it poisons them")
