"""Garbage from a front-end and its guest at once, on the whole of a device but its process.

Whatever comes, nothing is raised, no descriptor stays open, and no byte of the memory file that
was not shared is touched or given away.
"""

import os
import socket
import struct
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import Queue
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import Loop
from aerostat.device.punch import can_punch_mapped
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.mocks.driver import BalloonDriver
from aerostat.testing.mocks.frontend import USER_BASE, SharedFile
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    ConfigPart,
    RegionDescription,
    Request,
    RingAddresses,
    RingState,
)

KIB = 1 << 10
SPANS = ((0, 256 * KIB), (512 * KIB, 256 * KIB))
# What is not the guest's lies before its memory in the file.
OFFSET = 64 * KIB
SECRET = b"not the guest's " * (OFFSET // 16)
RINGS = 0x1000
PAYLOAD = 0x8000

QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS, Queue.REPORTING)

_NUMBERS = (0, 1, 2, 3, 8, 16, 32768, 65536, 2**31, 2**32 - 1)


class Front:
    """A front-end of which the device reads whatever a test makes it send."""

    def __init__(self, source: Random, shared: SharedFile, driver: BalloonDriver) -> None:
        self.source = source
        self.shared = shared
        self.driver = driver
        self.socket, self.end = socket.socketpair()
        self.socket.setblocking(False)
        flags = os.EFD_NONBLOCK
        self.eventfds = [os.eventfd(1, flags) for _ in QUEUES]

    def send(self, request: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        flags = self.source.choice((0, messages.FLAG_NEED_REPLY))
        self.send_raw(messages.encode(request, payload, flags=flags), descriptors)

    def send_raw(self, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        try:
            socket.send_fds(self.socket, [data], list(descriptors))
            self.socket.recv(65536)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def table(self) -> None:
        regions = [
            RegionDescription(r.guest_address, r.size, r.user_address, r.file_offset)
            for r in self.shared.memory.regions
        ]
        if self.source.random() < 0.2:
            field = self.source.choice(RegionDescription._fields)
            value = self.source.choice((0, 1, 0xFFF, 1 << 20, 1 << 63, (1 << 64) - 1))
            # Never one by which the guest would be given what is not its own.
            if field != "file_offset" or value > OFFSET:
                regions[0] = regions[0]._replace(**{field: value})
        elif self.source.random() < 0.2:
            # The same memory less its first bytes: rings are where they were, but not aligned.
            less = self.source.choice((1, 2, 8, 4096))
            guest, size, user, offset = regions[0]
            regions[0] = RegionDescription(guest + less, size - less, user + less, offset + less)
        payload = messages.encode_memory_table(tuple(regions))
        self.send(Request.SET_MEM_TABLE, payload, (self.shared.descriptor,) * len(regions))

    def region(self) -> None:
        """Take a region away, or bring one that is there or was."""
        source = self.source
        region = source.choice(self.shared.descriptions)
        if source.random() < 0.2:
            region = region._replace(guest_address=source.choice((4096, 1 << 40, (1 << 64) - 1)))
        request = source.choice((Request.ADD_MEM_REG, Request.REM_MEM_REG))
        self.send(request, messages.encode_region(region), (self.shared.descriptor,))

    def ring(self, index: int) -> None:
        ring = self.driver.rings[QUEUES[index]]
        user = USER_BASE
        addresses = [user + ring.desc, user + ring.used, user + ring.avail, 0]
        if self.source.random() < 0.2:
            addresses[self.source.randrange(3)] += self.source.choice((1, 2, 4096, 1 << 19, -8192))
        self.send(Request.SET_VRING_NUM, RingState(index, ring.size).encode())
        self.send(Request.SET_VRING_ADDR, RingAddresses(index, 0, *addresses).encode())
        self.send(Request.SET_VRING_KICK, messages.encode_u64(index), (self.eventfds[index],))
        self.send(Request.SET_VRING_CALL, messages.encode_u64(index), (self.eventfds[index],))
        self.send(Request.SET_VRING_ENABLE, RingState(index, 1).encode())

    def work(self, index: int) -> None:
        source, ring = self.source, self.driver.rings[QUEUES[index]]
        if source.random() < 0.3:
            ring.scribble(source, 1 << 20)
        else:
            # Page numbers in and around memory, the ring's own among them; or as statistics.
            pfns = [source.randrange(260) for _ in range(source.randrange(20))]
            self.shared.memory.write(PAYLOAD, struct.pack(f"<{len(pfns)}I", *pfns))
            ring.write_descriptor(0, PAYLOAD, len(pfns) * 4 + source.randrange(2))
            ring.offer(0)
        os.eventfd_write(self.eventfds[index], 1)

    def nonsense(self) -> None:
        source = self.source
        words = [source.choice(_NUMBERS) for _ in range(source.choice((0, 1, 2, 2, 4, 10)))]
        payload = struct.pack(f"={len(words)}I", *words)
        if source.random() < 0.3:
            data = source.randbytes(source.randrange(20))
            payload = ConfigPart(source.randrange(20), 0, data).encode()
        descriptors = tuple(source.choices(self.eventfds, k=source.choice((0, 0, 0, 1, 1, 2))))
        if words and source.random() < 0.8:
            payload = RingState(source.randrange(6), words[0] % 2).encode()
        request = source.choice([r for r in Request if r != Request.SET_MEM_TABLE] + [1000])
        self.send(request, payload, descriptors)

    def step(self) -> None:
        source = self.source
        match source.randrange(100):
            case 0:
                self.send_raw(source.randbytes(source.randrange(1, 40)))
            case 1:
                self.send(Request.SET_OWNER, descriptors=(self.eventfds[0],) * 33)
            case number if number < 8:
                self.table()
            case number if number < 12:
                self.region()
            case number if number < 40:
                self.work(source.randrange(len(QUEUES)))
            case number if number < 60:
                index = source.randrange(len(QUEUES))
                self.send(Request.SET_VRING_ENABLE, RingState(index, 0).encode())
                self.ring(index)
            case _:
                self.nonsense()

    def close(self) -> None:
        self.socket.close()
        for eventfd in self.eventfds:
            os.close(eventfd)


def turn(loop: Loop, times: int = 3) -> None:
    """Let the loop do what is due, and wait for nothing."""
    for _ in range(times):
        loop.call_soon(lambda: None)
        loop.turn()


@settings(max_examples=7 * settings().max_examples)
@given(seed=st.integers(0, 2**64 - 1))
def test_nothing_is_raised_leaked_or_touched(seed: int) -> None:
    can_punch_mapped()  # opens a descriptor of this process, once
    before = open_descriptors()
    source = Random(seed)
    shared = SharedFile(SPANS, OFFSET)
    os.pwrite(shared.descriptor, SECRET, 0)
    driver = BalloonDriver(shared.memory, RINGS, queues=QUEUES, size=4, buffer_size=64)
    front = Front(source, shared, driver)
    loop = Loop()
    guest = Guest(loop, Log("test"))
    guest.log = lambda _message: None  # type: ignore[assignment]
    gone: list[bool] = []
    link = Link(loop, guest, front.end, lambda: gone.append(True))
    front.send(Request.SET_FEATURES, messages.encode_u64(guest.device.features))
    front.table()
    for index in range(len(QUEUES)):
        front.ring(index)
    for _ in range(source.randrange(30)):
        front.step()
        turn(loop, 1)
        if source.random() < 0.1:
            guest.set_target(source.randrange(1 << 20))
            guest.sampler.request(0, lambda _fresh: None)
    turn(loop)
    link.close()
    assert gone == [True]
    assert guest.held() == 0
    loop.close()
    front.close()
    driver.release()
    assert os.pread(shared.descriptor, OFFSET, 0) == SECRET
    shared.close()
    assert open_descriptors() == before
