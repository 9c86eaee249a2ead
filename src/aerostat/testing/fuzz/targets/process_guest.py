"""A process guest's link, to a device that answers, writes and announces what it likes.

Touches sockets, a memory file and eventfds, all of them its own.
"""

import atexit
import os
import socket
from collections.abc import Callable

from aerostat.balloon.driver_features import KNOWN_FEATURES
from aerostat.device.loop import Loop
from aerostat.errors import AerostatError, UsageError
from aerostat.process_guest.interface import RESERVED_SIZE, DriverOptions, State
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files
from aerostat.testing.fuzz.targets.frontend import answer
from aerostat.testing.fuzz.targets.turning import turn
from aerostat.testing.mocks.still_guest import StillKernel
from aerostat.vhost_user import messages
from aerostat.vhost_user.frontend import Message
from aerostat.vhost_user.messages import Request

_PAGES = 64
_PFNS = range(RESERVED_SIZE // 4096, RESERVED_SIZE // 4096 + _PAGES)
_LISTENERS: list[socket.socket] = []


def _listener() -> socket.socket:
    if not _LISTENERS:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(files.directory() / "device.vhost"))
        listener.listen(1)
        listener.setblocking(False)
        atexit.register(listener.close)
        _LISTENERS.append(listener)
    return _LISTENERS[0]


class Device:
    """The hostile end of a link."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.connection: socket.socket | None = None
        self.calls: list[int] = []
        self.channel: int | None = None
        self._brought: list[int] = []
        self._input = bytearray()

    def accept(self) -> None:
        """Take the guest's connection, if there is a new one."""
        try:
            connection, _ = _listener().accept()
        except BlockingIOError:
            return
        self.close()
        connection.setblocking(False)
        self.connection = connection

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        for descriptor in self._brought:
            os.close(descriptor)
        self._brought.clear()
        self._input.clear()
        self.calls, self.channel = [], None

    def serve(self) -> None:
        """Read what the guest says, and answer, well or not."""
        if self.connection is None:
            return
        try:
            data, brought, _, _ = socket.recv_fds(self.connection, 4096, 64)
        except (BlockingIOError, ConnectionResetError):
            return
        self._brought += brought
        self._input += data
        while len(self._input) >= messages.HEADER_SIZE:
            header = messages.Header.decode(bytes(self._input[: messages.HEADER_SIZE]))
            end = messages.HEADER_SIZE + header.size
            message = Message(bytes(self._input[:end]), ())
            del self._input[:end]
            self._hear(header, brought)
            self._say(header, message)

    def _hear(self, header: messages.Header, brought: list[int]) -> None:
        if header.request == Request.SET_VRING_CALL:
            self.calls += brought
        elif header.request == Request.SET_BACKEND_REQ_FD and brought:
            self.channel = brought[0]

    def _say(self, header: messages.Header, message: Message) -> None:
        connection = self.connection
        replies = header.request in _REPLYING or header.flags & messages.FLAG_NEED_REPLY
        if replies and connection is not None:
            self._try(lambda: connection.send(answer(self.source, message)))

    def announce(self) -> None:
        """Say something on the channel, mostly that the configuration has changed."""
        request = self.source.near(messages.BackendRequest.CONFIG_CHANGE_MSG, 32)
        flags = messages.FLAG_NEED_REPLY if self.source.chance(30) else 0
        payload = self.source.blob(8) if self.source.chance(10) else b""
        data = messages.encode(request, payload, flags=flags)
        channel = self.channel
        if channel is not None:
            self._try(lambda: os.write(channel, data))

    def call(self) -> None:
        """Call the driver."""
        if self.calls:
            call = self.source.choose(self.calls)
            self._try(lambda: os.eventfd_write(call, self.source.below(3)))

    @staticmethod
    def _try(action: Callable[[], object]) -> None:
        try:
            action()
        except OSError:
            return


_REPLYING = {
    Request.GET_FEATURES,
    Request.GET_PROTOCOL_FEATURES,
    Request.GET_QUEUE_NUM,
    Request.GET_VRING_BASE,
    Request.GET_CONFIG,
    Request.GET_MAX_MEM_SLOTS,
}


def run(case: bytes) -> None:
    """Let a guest live on a hostile device: it may be lost, and nothing else happens to it."""
    source = Source(case)
    loop = Loop()
    memory = GuestMemoryFile([(0, RESERVED_SIZE + _PAGES * 4096)])
    kernel = StillKernel(_PFNS)
    options = DriverOptions(features=source.near(KNOWN_FEATURES, 36) & KNOWN_FEATURES)
    if source.chance(50):
        options = options._replace(queue_size=1 << source.below(9))
    _listener()
    link = DeviceLink(loop, str(files.directory() / "device.vhost"), memory, kernel, options)
    device = Device(source)
    try:
        for _ in range(30):
            turn(loop)
            device.accept()
            device.serve()
        while source.left:
            _step(source, device, link, memory)
            turn(loop)
            device.accept()
            device.serve()
            turn(loop)
            assert len(set(kernel.free)) == len(kernel.free), "a page is had twice"
            assert set(kernel.free) <= set(_PFNS), "a page from nowhere"
            assert link.state is not State.LOST or isinstance(link.error, AerostatError)
    finally:
        link.close()
        device.close()
        loop.close()
        memory.close()


def _step(source: Source, device: Device, link: DeviceLink, memory: GuestMemoryFile) -> None:
    match source.below(8):
        case 0:
            device.announce()
        case 1:
            device.call()
        case 2 | 3:
            _use(source, device, link, memory)
        case 4:
            memory.memory.write(source.below(RESERVED_SIZE - 16), source.blob(16))
        case 5 if source.chance(20):
            device.close()
        case _:
            _live(source, link)


def _use(source: Source, device: Device, link: DeviceLink, memory: GuestMemoryFile) -> None:
    """Give a buffer back, mostly one that there is."""
    if link.driver is None or not link.driver.queues:
        return
    rings = link._work.rings.rings if link._work is not None else {}  # noqa: SLF001 - a device knows
    ring = rings[source.choose(sorted(rings))]
    used = ring.layout.used
    index = int.from_bytes(memory.memory.read(used + 2, 2), "little")
    element = source.near(0, 32).to_bytes(4, "little") + source.number(32).to_bytes(4, "little")
    memory.memory.write(used + 4 + 8 * (index % ring.size), element)
    index = source.near((index + 1) & 0xFFFF, 16)
    memory.memory.write(used + 2, index.to_bytes(2, "little"))
    device.call()


def _live(source: Source, link: DeviceLink) -> None:
    """Do something of the guest's own; what is not its turn is refused."""
    actions: tuple[Callable[[], object], ...] = (
        link.pause,
        link.resume,
        link.unload,
        link.load,
        link.reset,
        link.reconnect,
        lambda: link.relieve(source.below(9)),
        lambda: link.report([(RESERVED_SIZE, 4096)]),
    )
    try:
        source.choose(actions)()
    except UsageError:
        return


TARGET = Target(
    "process-guest",
    "a process guest, to a hostile device",
    run,
    longest=2048,
)
