"""A vhost-user front-end for tests: what a VMM does, over a real socket, with memory in a memfd.

It connects to a device, negotiates, shares its memory, sets rings up and stops them again, in the
order that QEMU and user-mode Linux do, or in any other that a test makes up from `request`, `ask`
and `send_raw`. What a guest's driver would do on the rings is `aerostat.testing.mock_driver`'s.
Everything that waits gives up after `TIMEOUT` with `LinkError`. Linux only; standard library
only.
"""

import mmap
import os
import select
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from aerostat.errors import LinkError, PeerError
from aerostat.testing.mock_driver import DriverRing
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    ConfigPart,
    ProtocolFeature,
    RegionDescription,
    Request,
    RingAddresses,
    RingState,
)
from aerostat.virtio.memory import GuestMemory, Region

#: Seconds until a device counts as hung.
TIMEOUT = 10.0

#: Where the front-end pretends to have mapped guest address 0.
USER_BASE = 0x7E00_0000_0000

_PROTOCOL_BIT = 1 << messages.F_PROTOCOL_FEATURES
_WANTED_PROTOCOL_FEATURES = (
    1 << ProtocolFeature.REPLY_ACK
    | 1 << ProtocolFeature.BACKEND_REQ
    | 1 << ProtocolFeature.CONFIG
    | 1 << ProtocolFeature.MQ
)


class SharedFile:
    """Guest memory in one memfd, which starts `offset` bytes into it.

    `spans` are the (guest address, size) of its regions, which follow each other in the file.
    """

    def __init__(self, spans: Iterable[tuple[int, int]], offset: int = 0) -> None:
        spans = tuple(spans)
        self.size = offset + sum(size for _, size in spans)
        self.descriptor = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, self.size)
        self._mapping = mmap.mmap(self.descriptor, self.size)
        regions = []
        for address, size in spans:
            with memoryview(self._mapping) as whole:
                view = whole[offset : offset + size]
            user = USER_BASE + address
            regions.append(Region(address, size, user, view, offset, self.descriptor))
            offset += size
        self.memory = GuestMemory(regions)

    @property
    def held(self) -> int:
        """The bytes that the file takes."""
        return os.fstat(self.descriptor).st_blocks * 512

    def holes(self) -> list[tuple[int, int]]:
        """Return the (offset, length) of everything in the file that takes no memory."""
        holes, position = [], 0
        while position < self.size:
            start = os.lseek(self.descriptor, position, os.SEEK_HOLE)
            if start >= self.size:
                break
            try:
                position = os.lseek(self.descriptor, start, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but hole from here on
                position = self.size
            holes.append((start, position - start))
        return holes

    def close(self) -> None:
        """Let go of the memory; drivers hold views of their own: release them first."""
        self.memory.release()
        self._mapping.close()
        os.close(self.descriptor)


class _Notifications(NamedTuple):
    kick: int
    call: int


class MockFrontend:
    """A front-end that is connected to the device at `path`."""

    def __init__(self, path: str, memory: SharedFile) -> None:
        self.memory = memory
        self.features = 0
        self._notifications: dict[int, _Notifications] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self.channel, self._device_channel = socket.socketpair()
        self.channel.settimeout(TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the memory stays."""
        self._socket.close()
        self.channel.close()
        self._device_channel.close()
        for notifications in self._notifications.values():
            os.close(notifications.kick)
            os.close(notifications.call)
        self._notifications.clear()

    # ---- messages

    def send_raw(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send bytes as they are."""
        socket.send_fds(self._socket, [data], list(descriptors))

    def receive_reply(self) -> tuple[int, bytes]:
        """Return the request that the next reply belongs to, and its payload."""
        header = messages.Header.decode(self._receive(messages.HEADER_SIZE))
        if header.flags != messages.VERSION | messages.FLAG_REPLY:
            raise PeerError(f"a reply with flags {header.flags:#x}")
        return header.request, self._receive(header.size)

    def ask(self, request: int, payload: bytes = b"") -> bytes:
        """Send a request that has a reply of its own, and return that."""
        self.send_raw(messages.encode(request, payload))
        return self._expect(request)

    def request(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> bool:
        """Send a request and return whether the device says that it succeeded."""
        message = messages.encode(request, payload, flags=messages.FLAG_NEED_REPLY)
        self.send_raw(message, descriptors)
        return messages.decode_u64(self._expect(request)) == 0

    def disconnected(self) -> bool:
        """Wait for the device to hang up; false if it says something instead."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _expect(self, request: int) -> bytes:
        answered, payload = self.receive_reply()
        if answered != request:
            raise PeerError(f"a reply to {answered} where {request} was asked")
        return payload

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self._socket.recv(size - len(data))
            except TimeoutError as error:
                raise LinkError("the device does not answer") from error
            if not part:
                raise LinkError("the device hung up", retryable=False)
            data += part
        return data

    # ---- the device as a whole

    def negotiate(self, features: int | None = None) -> None:
        """Agree on `features` (None: all that are offered) and share the memory."""
        offered = messages.decode_u64(self.ask(Request.GET_FEATURES))
        protocol = messages.decode_u64(self.ask(Request.GET_PROTOCOL_FEATURES))
        protocol &= _WANTED_PROTOCOL_FEATURES
        self._do(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(protocol))
        self._do(Request.SET_OWNER)
        self._do(Request.SET_BACKEND_REQ_FD, descriptors=[self._device_channel.fileno()])
        self.choose(offered if features is None else features)
        self.share_memory()

    def choose(self, features: int) -> None:
        """Set the driver's features, as at every start of a driver."""
        self.features = features & ~_PROTOCOL_BIT
        self._do(Request.SET_FEATURES, messages.encode_u64(features | _PROTOCOL_BIT))

    def share_memory(self) -> None:
        """Send the memory table."""
        regions = tuple(
            RegionDescription(
                region.guest_address, region.size, region.user_address, region.file_offset
            )
            for region in self.memory.memory.regions
        )
        descriptors = [self.memory.descriptor] * len(regions)
        self._do(Request.SET_MEM_TABLE, messages.encode_memory_table(regions), descriptors)

    def read_config(self, offset: int = 0, size: int = 16) -> bytes:
        """Return a part of the configuration space."""
        payload = self.ask(Request.GET_CONFIG, ConfigPart(offset, 0, bytes(size)).encode())
        return ConfigPart.decode(payload).data

    def write_config(self, offset: int, data: bytes) -> None:
        """Write to the configuration space."""
        self._do(Request.SET_CONFIG, ConfigPart(offset, 0, data).encode())

    def wait_for_config_change(self) -> None:
        """Wait until the device announces a new configuration."""
        try:
            data = self.channel.recv(messages.HEADER_SIZE)
        except TimeoutError as error:
            raise LinkError("the device announces nothing") from error
        if data != messages.encode(messages.BackendRequest.CONFIG_CHANGE_MSG):
            raise PeerError(f"not an announcement: {data!r}")

    # ---- rings

    def start_ring(self, index: int, ring: DriverRing, base: int = 0) -> None:
        """Describe a ring and enable it."""
        self.describe_ring(index, ring, base)
        self.enable_ring(index)

    def describe_ring(self, index: int, ring: DriverRing, base: int = 0) -> None:
        """Describe a ring, and give it a kick and a call; `enable_ring` makes it run."""
        user = USER_BASE
        addresses = RingAddresses(
            index, 0, user + ring.desc, user + ring.used, user + ring.avail, 0
        )
        self._do(Request.SET_VRING_NUM, RingState(index, ring.size).encode())
        self._do(Request.SET_VRING_BASE, RingState(index, base).encode())
        self._do(Request.SET_VRING_ADDR, addresses.encode())
        self.send_notifications(index)

    def send_notifications(self, index: int) -> None:
        """Give a ring its kick and its call, which may also be done while it runs."""
        if index not in self._notifications:
            flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
            # A kick that is there already, as QEMU's are.
            self._notifications[index] = _Notifications(os.eventfd(1, flags), os.eventfd(0, flags))
        kick, call = self._notifications[index]
        self._do(Request.SET_VRING_KICK, messages.encode_u64(index), [kick])
        self._do(Request.SET_VRING_CALL, messages.encode_u64(index), [call])

    def enable_ring(self, index: int, *, enabled: bool = True) -> None:
        """Enable or disable a ring."""
        self._do(Request.SET_VRING_ENABLE, RingState(index, int(enabled)).encode())

    def stop_ring(self, index: int) -> int:
        """Disable and end a ring; return the index to start it from again."""
        self.enable_ring(index, enabled=False)
        payload = self.ask(Request.GET_VRING_BASE, RingState(index, 0).encode())
        return RingState.decode(payload).value

    def kick(self, index: int) -> None:
        """Tell the device that ring `index` has buffers."""
        os.eventfd_write(self._notifications[index].kick, 1)

    def wait_for_call(self, index: int) -> None:
        """Wait until the device tells of used buffers in ring `index`."""
        call = self._notifications[index].call
        if not select.select([call], [], [], TIMEOUT)[0]:
            raise LinkError(f"ring {index} is not called")
        os.eventfd_read(call)

    def _do(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        if not self.request(request, payload, descriptors):
            raise PeerError(f"the device refused request {request}")
