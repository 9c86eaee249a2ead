"""What the specification says of devices, asked of a device process as a driver would see it."""

import hashlib
import os
from collections.abc import Callable, Iterator

import pytest

from aerostat.balloon.abi import MUST_TELL_HOST, PAGE_POISON, PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES
from aerostat.testing.mocks.driver import BalloonDriver
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import MIB
from aerostat.virtio.features import VERSION_1, bit

RINGS = MIB  # where the driver has its rings
FIRST_PFN = 8 * MIB // PAGE_SIZE  # of the region above the hole, which has nothing else in it
# As numbered by Linux and by QEMU alike, if all that is offered is taken.
INDEX = {Queue.INFLATE: 0, Queue.DEFLATE: 1, Queue.STATS: 2, Queue.REPORTING: 3}
LEGACY = DEFAULT_FEATURES & ~bit(VERSION_1) & ~bit(MUST_TELL_HOST)


class Machine:
    """A front-end, and a driver whose rings are described and not yet enabled."""

    def __init__(self, device: DeviceProcess, memory: SharedFile, features: int) -> None:
        self.file = memory
        self.memory = memory.memory
        self.frontend = MockFrontend(str(device.socket), memory)
        self.frontend.negotiate(features)
        self.driver = BalloonDriver(self.memory, RINGS, queues=INDEX)
        for queue, index in INDEX.items():
            self.frontend.describe_ring(index, self.driver.rings[queue])

    def enable(self) -> None:
        for index in INDEX.values():
            self.frontend.enable_ring(index)

    def close(self) -> None:
        self.frontend.close()
        self.driver.release()

    def served(self, queue: Queue) -> None:
        """Kick a queue, and wait until its one request comes back."""
        self.frontend.kick(INDEX[queue])
        self.frontend.wait_for_call(INDEX[queue])
        (used,) = self.driver.collect(queue)
        assert used.written == 0

    def called(self, queue: Queue) -> bool:
        """Whether a notification is waiting, once all that was sent before has been done."""
        for _ in range(2):  # the first may be answered in the turn in which a kick is noticed
            self.frontend.read_config()
        try:
            return os.eventfd_read(self.frontend._notifications[INDEX[queue]].call) > 0
        except BlockingIOError:
            return False

    def write(self, pfn: int) -> bytes:
        """Write something into a page that no other has; return it."""
        content = hashlib.sha256(b"%d" % pfn).digest() * (PAGE_SIZE // 32)
        self.memory.write(pfn * PAGE_SIZE, content)
        return content

    def read(self, pfn: int) -> bytes:
        return self.memory.read(pfn * PAGE_SIZE, PAGE_SIZE)


Plug = Callable[..., Machine]


@pytest.fixture
def plug(device: DeviceProcess, shared: SharedFile) -> Iterator[Plug]:
    machines: list[Machine] = []

    def make(features: int = DEFAULT_FEATURES) -> Machine:
        machines.append(Machine(device, shared, features))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.mark.statement("DEV-OP-1", "DEV-OP-2", "LEG-FEAT-1", "LEG-FEAT-2")
@pytest.mark.parametrize("features", [DEFAULT_FEATURES, LEGACY], ids=["modern", "legacy"])
def test_a_page_is_changed_only_while_it_is_being_given(plug: Plug, features: int) -> None:
    machine = plug(features)
    machine.enable()
    machine.write(FIRST_PFN)
    machine.driver.inflate([FIRST_PFN])
    machine.served(Queue.INFLATE)
    assert machine.read(FIRST_PFN) == bytes(PAGE_SIZE)

    # A driver that need not tell the host uses the page first, and tells then.
    content = machine.write(FIRST_PFN)
    machine.driver.inflate([FIRST_PFN + 1])
    machine.served(Queue.INFLATE)
    machine.driver.deflate([FIRST_PFN])
    machine.served(Queue.DEFLATE)
    assert machine.read(FIRST_PFN) == content


@pytest.mark.statement("ST-DEV-1")
def test_nothing_is_taken_before_the_rings_are_enabled(plug: Plug) -> None:
    """DRIVER_OK itself is not seen over vhost-user: rings that are enabled are what follows it."""
    machine = plug()
    content = machine.write(FIRST_PFN)
    machine.driver.inflate([FIRST_PFN])
    machine.frontend.kick(INDEX[Queue.INFLATE])
    assert not machine.called(Queue.INFLATE)
    assert machine.driver.collect(Queue.INFLATE) == []
    assert machine.read(FIRST_PFN) == content

    machine.enable()
    machine.served(Queue.INFLATE)
    assert machine.read(FIRST_PFN) == bytes(PAGE_SIZE)


@pytest.mark.statement("ST-DEV-3")
def test_nothing_is_taken_after_the_rings_are_disabled(plug: Plug) -> None:
    machine = plug()
    machine.enable()
    machine.driver.inflate([FIRST_PFN])
    machine.served(Queue.INFLATE)
    for index in INDEX.values():
        machine.frontend.enable_ring(index, enabled=False)

    content = machine.write(FIRST_PFN)
    machine.driver.inflate([FIRST_PFN])
    machine.frontend.kick(INDEX[Queue.INFLATE])
    assert not machine.called(Queue.INFLATE)
    assert machine.read(FIRST_PFN) == content


@pytest.mark.statement("VQ-DEV-5", "VQ-DEV-6")
def test_each_request_is_notified_of_and_nothing_else(plug: Plug) -> None:
    machine = plug()
    machine.enable()
    for queue, index in INDEX.items():
        for _ in range(3):
            machine.frontend.kick(index)
        assert not machine.called(queue)
    for pfn in range(FIRST_PFN, FIRST_PFN + 3):
        machine.driver.inflate([pfn])
        machine.served(Queue.INFLATE)
    assert not machine.called(Queue.INFLATE)


@pytest.mark.statement("VQ-DEV-1")
def test_nothing_is_written_but_used_rings(plug: Plug) -> None:
    machine = plug()
    machine.enable()
    kept = machine.write(FIRST_PFN + 1)
    machine.driver.send_statistics({4: 5})
    machine.frontend.kick(INDEX[Queue.STATS])
    machine.driver.inflate([FIRST_PFN])
    before = machine.memory.read(0, machine.driver.end)
    machine.served(Queue.INFLATE)
    after = machine.memory.read(0, machine.driver.end)

    size = machine.driver.end
    written = {at for at in range(RINGS, size, 2) if before[at : at + 2] != after[at : at + 2]}
    assert before[:RINGS] == after[:RINGS]
    rings = machine.driver.rings.values()
    used = {at for ring in rings for at in range(ring.used, ring.end, 2)}
    assert written
    assert written <= used
    assert machine.read(FIRST_PFN + 1) == kept


@pytest.mark.statement("DEV-REP-1", "DEV-REP-2", "DEV-REP-3")
@pytest.mark.parametrize("poison", [None, 0, 0xAAAAAAAA])
def test_a_reported_page_is_as_its_driver_expects_it(plug: Plug, poison: int | None) -> None:
    unpoisoned = DEFAULT_FEATURES & ~bit(PAGE_POISON)
    machine = plug(unpoisoned if poison is None else DEFAULT_FEATURES)
    if poison is not None:
        machine.frontend.write_config(12, poison.to_bytes(4, "little"))
    machine.enable()
    filled = (poison or 0).to_bytes(4, "little") * (MIB // 4)
    machine.memory.write(8 * MIB, filled)
    held = machine.file.held
    ring = machine.driver.rings[Queue.REPORTING]

    ring.add([], [(8 * MIB, MIB // 2), (8 * MIB + MIB // 2, MIB // 2)])
    machine.served(Queue.REPORTING)
    assert held - machine.file.held == (0 if poison else MIB)
    assert machine.memory.read(8 * MIB, MIB) == filled

    content = machine.write(FIRST_PFN)  # the guest uses it again, and need not say so
    ring.add([], [(9 * MIB, PAGE_SIZE)])
    machine.served(Queue.REPORTING)
    assert machine.read(FIRST_PFN) == content
