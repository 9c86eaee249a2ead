"""Drivers of the legacy interface, little-endian and big-endian, on a device process."""

from collections.abc import Callable, Iterator

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, SharedFile
from aerostat.testing.mocks.guest import QUEUES, MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user.messages import ProtocolFeature
from aerostat.virtio.features import VERSION_1, bit
from aerostat.virtio.memory import Byteorder

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
HIGH = 8 * MIB
FIRST = HIGH // PAGE_SIZE

Start = Callable[..., MockGuest]


@pytest.fixture
def start(device: DeviceProcess, shared: SharedFile) -> Iterator[Start]:
    guests: list[MockGuest] = []

    def start(byteorder: Byteorder, features: int = 0x37) -> MockGuest:
        guest = MockGuest(
            str(device.socket),
            shared,
            RINGS,
            features=features,
            byteorder=byteorder,
            queues=(*QUEUES, Queue.REPORTING) if features & 0x20 else QUEUES,
            protocol_features=PROTOCOL_FEATURES | 1 << ProtocolFeature.CROSS_ENDIAN,
        )
        guests.append(guest)
        return guest

    yield start
    for guest in guests:
        guest.close()


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.statement("LEG-STATS-1", "LEG-STATS-2", "LEG-CFG-1", "LEG-FEAT-1", "DEV-FEAT-1")
def test_a_legacy_driver_is_served_in_its_own_byte_order(
    start: Start, control: ControlClient, byteorder: Byteorder
) -> None:
    guest = start(byteorder, 0x36)  # without MUST_TELL_HOST
    memory = guest.memory.memory
    guest.driver.send(Queue.STATS, b"\xa5" * 60)  # the first one as it lay in memory
    guest.kick(Queue.STATS)
    sample = control.start("aerostat-sample", timeout=5)
    guest.wait_for(Queue.STATS)
    guest.send_statistics(free_memory=0x1122334455667788, swap_in=1)
    stats = control.finish(sample)["stats"]
    assert stats == {
        "stat-free-memory": 0x1122334455667788,
        "stat-swap-in": 1,
        "unknown": {},
    }

    memory.write(HIGH, b"x" * 8 * MIB)
    guest.balloon(Queue.INFLATE, [FIRST + 1, FIRST + 0x102])
    assert memory.read(HIGH, 4 * PAGE_SIZE) == (
        b"x" * PAGE_SIZE + bytes(PAGE_SIZE) + b"x" * 2 * PAGE_SIZE
    )
    assert memory.read(HIGH + 0x102 * PAGE_SIZE, PAGE_SIZE) == bytes(PAGE_SIZE)
    guest.balloon(Queue.DEFLATE, [FIRST + 1])
    guest.report([(HIGH + 2 * MIB, 2 * MIB)])
    assert memory.read(HIGH + 2 * MIB, 3 * MIB) == bytes(2 * MIB) + b"x" * MIB

    # The configuration space is little-endian, whatever the driver is.
    control.run("balloon", value=8 * MIB)
    guest.frontend.wait_for_config_change()
    assert guest.frontend.read_config(0, 4) == (4 * MIB // PAGE_SIZE).to_bytes(4, "little")
    guest.say_actual(4 * MIB)
    counters = control.sample(timeout=0)["counters"]
    assert control.run("query-balloon") == {"actual": 8 * MIB}
    assert {name for name, count in counters.items() if count} == {
        *("front_ends", "punches", "punched_bytes", "report_punches", "reported_bytes"),
    }


def test_a_big_endian_driver_goes_on_after_a_pause_and_comes_back(start: Start) -> None:
    guest = start("big")
    memory = guest.memory.memory
    guest.balloon(Queue.INFLATE, [FIRST])
    bases = guest.stop()
    assert bases == [1, 0, 0, 0]
    guest.frontend.choose(guest.frontend.features)
    guest.start(bases)
    guest.balloon(Queue.INFLATE, [FIRST + 1])
    guest.reload()
    memory.write(HIGH, b"x" * PAGE_SIZE)
    guest.balloon(Queue.INFLATE, [FIRST])
    assert memory.read(HIGH, PAGE_SIZE) == bytes(PAGE_SIZE)


@pytest.mark.statement("ST-DEV-5")
def test_a_modern_driver_is_little_endian_whatever_is_said_of_its_rings(
    start: Start, control: ControlClient
) -> None:
    guest = start("little", 0x37 | bit(VERSION_1))
    bases = guest.stop()
    guest.frontend.choose(guest.frontend.features)
    for index, queue in enumerate(guest.queues):
        ring = guest.driver.rings[queue]
        guest.frontend.describe_ring(index, ring, bases[index], big_endian=True)
        guest.frontend.enable_ring(index)
    guest.send_statistics(free_memory=5)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    assert control.get("guest-stats")["stats"]["stat-free-memory"] == 5
    guest.balloon(Queue.INFLATE, [FIRST])
