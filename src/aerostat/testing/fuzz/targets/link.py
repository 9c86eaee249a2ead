"""A whole device but its process: a front-end and its guest say and write what they like.

Touches sockets, memory files and eventfds, all of them its own.
"""

import os
import socket

from aerostat.balloon.abi import Queue
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import Loop
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.pens import PackedPen, Pen, SplitPen
from aerostat.testing.fuzz.targets.requests import PAGE, say
from aerostat.testing.fuzz.targets.turning import turn
from aerostat.testing.fuzz.targets.yard import USER_BASE
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import RegionDescription, Request, RingAddresses, RingState
from aerostat.virtio.chain import WRITE
from aerostat.virtio.features import RING_PACKED, VERSION_1, bit
from aerostat.virtio.memory import GuestMemory, Region

_PAGES = 32  # of all regions that may be said
_SECRET = b"not the guest's " * (PAGE // 16)
_RINGS, _BUFFERS = 0x1000, 0x4000


class FrontEnd:
    """A front-end whose messages the device reads, and the memory and rings of its guest."""

    def __init__(self, source: Source, features: int) -> None:
        self.source = source
        self.file = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.file, (_PAGES + 1) * PAGE)
        os.pwrite(self.file, _SECRET, _PAGES * PAGE)
        self.socket, self.end = socket.socketpair()
        self.socket.setblocking(False)
        self.channel, self._channel_end = socket.socketpair()
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in Queue]
        self.features = features & ~bit(RING_PACKED if source.chance(60) else 60)
        packed = self.features >> RING_PACKED & 1
        size = source.choose((8, 1, 2, 4))
        self.pens: list[Pen] = [
            PackedPen(_RINGS + 0x400 * number, size)
            if packed
            else SplitPen(_RINGS + 0x400 * number, size, "little")
            for number in range(len(Queue))
        ]

    def close(self) -> None:
        """Hang up, and let go of everything."""
        for one in (self.socket, self.channel, self._channel_end):
            one.close()
        for descriptor in (*self.kicks, self.file):
            os.close(descriptor)

    def begin(self) -> None:
        """Say all that a sound front-end says."""
        self._send(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(0x1_A269))
        channel = (self._channel_end.fileno(),)
        self._send(Request.SET_BACKEND_REQ_FD, descriptors=channel)
        self._send(Request.SET_FEATURES, messages.encode_u64(self.features | 1 << 30))
        table = (RegionDescription(0, _PAGES * PAGE, USER_BASE, 0),)
        self._send(Request.SET_MEM_TABLE, messages.encode_memory_table(table), (self.file,))
        for index in range(len(Queue)):
            self.start(index)

    def start(self, index: int) -> None:
        """Describe a ring, and enable it."""
        desc, avail, used = (USER_BASE + part for part in self.pens[index].parts)
        size = RingState(index, self.pens[index].size)
        addresses = RingAddresses(index, 0, desc, used, avail, 0)
        kick = (self.kicks[index],)
        self._send(Request.SET_VRING_NUM, size.encode())
        self._send(Request.SET_VRING_ADDR, addresses.encode())
        self._send(Request.SET_VRING_KICK, messages.encode_u64(index), kick)
        self._send(Request.SET_VRING_CALL, messages.encode_u64(index), kick)
        self._send(Request.SET_VRING_ENABLE, RingState(index, 1).encode())

    def say(self) -> None:
        """Say anything."""
        source = self.source
        said = say(source, self.features | 1 << 30)
        memory = said.request in {Request.SET_MEM_TABLE, Request.ADD_MEM_REG}
        files = [self.file] if memory else [source.choose((*self.kicks, self.file))]
        self.send_raw(said.data, files * said.descriptors)

    def send_raw(self, data: bytes, descriptors: list[int]) -> None:
        """Send bytes, and forget what was answered."""
        try:
            socket.send_fds(self.socket, [data], descriptors)
            self.socket.recv(65536)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def work(self) -> None:
        """Make a buffer available in the guest's memory, and kick."""
        source = self.source
        index = source.below(len(Queue))
        at = _BUFFERS + source.below(8) * 0x200
        os.pwrite(self.file, self._payload(), at)
        writable = index == len(Queue) - 1 or source.chance(20)
        address = source.near(at, 64)
        length, flags = source.near(16, 32), WRITE if writable else 0
        if source.chance(20):
            flags = source.near(flags, 16)
        with _Mapped(self.file) as memory:
            self.pens[index].offer(source, memory, address, length, flags)
        os.eventfd_write(self.kicks[index], 1)

    def untouched(self) -> bool:
        """Return whether what is not the guest's is as it was."""
        return os.pread(self.file, PAGE, _PAGES * PAGE) == _SECRET

    def _payload(self) -> bytes:
        source = self.source
        if source.chance(30):
            return source.blob(100)
        pages = (source.below(2 * _PAGES) for _ in range(source.below(20)))
        return b"".join(page.to_bytes(4, "little") for page in pages)

    def _send(self, request: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        self.send_raw(messages.encode(request, payload), list(descriptors))


class _Mapped:
    """The guest's memory for a moment: what is written to it is in the file afterwards."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._data = bytearray(os.pread(file, _PAGES * PAGE, 0))
        self.memory = GuestMemory(
            [Region(0, len(self._data), USER_BASE, memoryview(self._data), 0, file)]
        )

    def __enter__(self) -> GuestMemory:
        return self.memory

    def __exit__(self, *_: object) -> None:
        os.pwrite(self._file, self._data[_RINGS:_BUFFERS], _RINGS)


def run(case: bytes) -> None:
    """Let a front-end and its guest do anything; nothing of anybody else is touched."""
    source = Source(case)
    loop = Loop()
    guest = Guest(loop, Log("fuzz"))
    guest.log = silent  # type: ignore[assignment]
    front = FrontEnd(source, guest.device.features | bit(VERSION_1))
    closed: list[bool] = []
    link = Link(loop, guest, front.end, lambda: closed.append(True))
    shared = False
    try:
        if not source.chance(15):
            front.begin()
            turn(loop, 30)
        while source.left and not link.closed:
            _step(source, front, guest)
            turn(loop, 3)
            shared = shared or _reaches_beyond(guest)
            assert shared or front.untouched(), "a page that is not the guest's"
    finally:
        link.close()
        loop.close()
        front.close()
    assert closed == [True]


def _step(source: Source, front: FrontEnd, guest: Guest) -> None:
    match source.below(8):
        case 0 | 1 | 2:
            front.work()
        case 3:
            front.start(source.below(len(Queue)))
        case 4:
            guest.set_target(source.number(40))
            guest.sampler.request(1.0, silent)
        case 5 if source.chance(10):
            front.send_raw(source.blob(20) or b"\0", [])
        case _:
            front.say()


def _reaches_beyond(guest: Guest) -> bool:
    """Return whether the front-end has given the guest more of its file than it says it has."""
    regions = () if guest.memory is None else guest.memory.regions
    return any(
        one.description.file_offset + one.description.size > _PAGES * PAGE for one in regions
    )


def silent(*_: object) -> None:
    """Say nothing."""


TARGET = Target(
    "link",
    "a whole device, to a hostile front-end and its guest",
    run,
    longest=2048,
)
