"""Free page reporting over a real socket: what is given back, what is kept, what is counted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_POISON, PAGE_REPORTING, PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.mocks.guest import QUEUES, MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.virtio.features import bit

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
HIGH = 8 * MIB  # the region above the hole


@pytest.fixture
def guest(device: DeviceProcess, shared: SharedFile) -> Iterator[MockGuest]:
    guest = MockGuest(str(device.socket), shared, RINGS, queues=(*QUEUES, Queue.REPORTING))
    yield guest
    guest.close()


def counters(control: ControlClient) -> dict[str, int]:
    found = control.sample(timeout=0)["counters"]
    names = ("report_punches", "reported_bytes", "kept_reports", "punched_bytes", "outside_pages")
    return {name: found[name] for name in names if found[name]}


@pytest.mark.statement("DEV-REP-1", "DEV-REP-3")
def test_what_is_reported_the_host_has_before_the_guest_knows(
    guest: MockGuest, control: ControlClient
) -> None:
    memory = guest.memory.memory
    memory.write(HIGH, b"x" * 8 * MIB)
    held = guest.memory.held
    guest.report([(HIGH, 2 * MIB), (HIGH + 4 * MIB, 2 * MIB)])
    assert guest.memory.held == held - 4 * MIB
    assert control.sample(timeout=0)["held"] == guest.memory.held
    assert memory.read(HIGH, 8 * MIB) == (bytes(2 * MIB) + b"x" * 2 * MIB) * 2
    assert counters(control) == {"report_punches": 2, "reported_bytes": 4 * MIB}
    memory.write(HIGH, b"y" * 2 * MIB)  # it is the guest's again, with nothing said
    guest.balloon(Queue.INFLATE, [0])
    assert memory.read(HIGH, 2 * MIB) == b"y" * 2 * MIB


def test_a_report_beyond_the_end_of_a_region_reaches_nothing_behind_it(
    guest: MockGuest, control: ControlClient
) -> None:
    """In the file, the region above the hole follows the one below it."""
    memory = guest.memory.memory
    memory.write(HIGH, b"x" * 2 * MIB)
    guest.report([(3 * MIB, 3 * MIB)])
    assert memory.read(HIGH, 2 * MIB) == b"x" * 2 * MIB
    assert counters(control)["outside_pages"] == 2 * MIB // PAGE_SIZE


def test_of_what_is_not_whole_pages_the_rest_stays(guest: MockGuest) -> None:
    memory = guest.memory.memory
    memory.write(HIGH, b"x" * 4 * PAGE_SIZE)
    guest.report([(HIGH + 100, 3 * PAGE_SIZE), (HIGH + 4 * PAGE_SIZE - 4, 2)])
    assert memory.read(HIGH, 4 * PAGE_SIZE) == (
        b"x" * PAGE_SIZE + bytes(2 * PAGE_SIZE) + b"x" * PAGE_SIZE
    )


@pytest.mark.statement("DEV-REP-2", "DRV-POISON-2")
def test_dev_rep_2_what_must_keep_its_poison_is_kept_even_after_a_pause(
    guest: MockGuest, control: ControlClient
) -> None:
    memory = guest.memory.memory
    memory.write(HIGH, b"\xaa" * 2 * MIB)
    guest.stop()
    # As QEMU passes it on: before the features, which it tells when the driver is ready.
    guest.frontend.write_config(12, b"\xaa" * 4)
    guest.frontend.choose(guest.frontend.features)
    guest.driver.release()
    guest.driver = guest.make_driver()
    guest.start()
    guest.report([(HIGH, 2 * MIB)])
    bases = guest.stop()
    guest.frontend.choose(guest.frontend.features)
    guest.start(bases)
    guest.report([(HIGH, 2 * MIB)])
    assert memory.read(HIGH, 2 * MIB) == b"\xaa" * 2 * MIB
    assert counters(control) == {"kept_reports": 2}


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ((), 0),
        (("--no-free-page-reporting",), bit(PAGE_REPORTING)),
        (("--no-page-poison", "--no-deflate-on-oom"), bit(PAGE_POISON) | bit(2)),
    ],
)
def test_what_is_not_wanted_is_not_offered(
    start_device: Callable[..., DeviceProcess],
    shared: SharedFile,
    options: tuple[str, ...],
    missing: int,
) -> None:
    device = start_device("other", *options)
    guest = MockGuest(str(device.socket), shared, RINGS)
    assert guest.frontend.features & 0x3F == 0x37 & ~missing
    guest.close()


@pytest.mark.parametrize(
    ("rule", "index"),
    [(None, 2), ("dense-negotiated", 2), ("dense-offered", 3), ("fixed", 4)],
)
@pytest.mark.statement("ST-DEV-4")
def test_a_queue_is_where_the_rule_puts_it_or_where_it_was_set_up(
    start_device: Callable[..., DeviceProcess],
    shared: SharedFile,
    rule: str | None,
    index: int,
    tmp_path: Path,
) -> None:
    """A driver without statistics: every rule has another number for its reporting queue."""
    device = start_device("other", *(("--queues", rule) if rule else ()))
    features = 0x1_0000_0000 | bit(PAGE_REPORTING)
    memory = shared.memory
    memory.write(HIGH, b"x" * 2 * MIB)
    queues = (Queue.INFLATE, Queue.DEFLATE, Queue.REPORTING)
    guest = MockGuest(str(device.socket), shared, RINGS, features=features, queues=queues)
    # With a rule, every ring is set up, as some front-ends do, and tells nothing.
    if rule is not None:
        guest.stop()
        ring = guest.driver.rings[Queue.REPORTING]
        for other in range(2, 5):
            guest.frontend.describe_ring(other, ring)
            guest.frontend.enable_ring(other)
    guest.driver.report([(HIGH, 2 * MIB)])
    guest.frontend.kick(index)
    guest.frontend.wait_for_call(index)
    assert len(guest.driver.collect(Queue.REPORTING)) == 1
    assert memory.read(HIGH, 2 * MIB) == bytes(2 * MIB)
    guest.close()
