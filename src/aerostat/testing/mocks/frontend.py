"""A vhost-user front-end for tests: what a VMM does, over a real socket, step by step and waiting.

It connects to a device, negotiates, shares its memory, sets rings up and stops them again as
`aerostat.vhost_user.frontend` does, or in any order that a test makes up from `request`, `ask` and
`send_raw`. What a guest's driver would do on the rings is `mocks.driver`'s.
Everything that waits gives up after `TIMEOUT`, or what it is told, with `LinkError`. Linux only;
standard library only.
"""

import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aerostat.errors import LinkError, PeerError
from aerostat.process_guest.memory import USER_BASE, GuestMemoryFile
from aerostat.testing.closing import Closing
from aerostat.vhost_user import messages, outcomes
from aerostat.vhost_user.frontend import Frontend, RingPlan
from aerostat.vhost_user.messages import ProtocolFeature, Request
from aerostat.virtio.ring import DriverSide

__all__ = ["PROTOCOL_FEATURES", "TIMEOUT", "USER_BASE", "MockFrontend", "SharedFile"]

#: Seconds until a device counts as hung.
TIMEOUT = 10.0

SharedFile = GuestMemoryFile

#: What a front-end makes use of that has nothing special.
PROTOCOL_FEATURES = (
    1 << ProtocolFeature.REPLY_ACK
    | 1 << ProtocolFeature.BACKEND_REQ
    | 1 << ProtocolFeature.CONFIG
    | 1 << ProtocolFeature.MQ
)


class _Notifications(NamedTuple):
    kick: int
    call: int


class MockFrontend(Closing):
    """A front-end that is connected to the device at `path`.

    `protocol_features` are agreed on where the device offers them. A device that says nothing for
    `timeout` seconds counts as hung.
    """

    def __init__(
        self,
        path: str,
        memory: SharedFile,
        *,
        protocol_features: int = PROTOCOL_FEATURES,
        timeout: float = TIMEOUT,
    ) -> None:
        self.memory = memory
        self.timeout = timeout
        self.conversation = Frontend(wanted=protocol_features)
        self._notifications: dict[int, _Notifications] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self.channel, self._device_channel = socket.socketpair()
        self.channel.settimeout(timeout)

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

    def hung_up(self, seconds: float) -> bool:
        """Return whether the device hangs up within `seconds`, whatever it says before."""
        end = time.monotonic() + seconds
        while select.select([self._socket], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                if not self._socket.recv(4096):
                    return True
            except ConnectionResetError:
                return True
        return False

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

    @property
    def features(self) -> int:
        """The features that were chosen last."""
        return self.conversation.features

    def begin(self) -> None:
        """Agree on what the two sides share, and say who owns the device."""
        self._carry_out(lambda frontend: frontend.negotiate(self._device_channel.fileno()))

    def negotiate(self, features: int | None = None) -> None:
        """Begin, agree on `features` (None: all that are offered) and share the memory."""
        self.begin()
        self.choose(self.conversation.offered_features if features is None else features)
        self.share_memory()

    def choose(self, features: int) -> None:
        """Set the driver's features, as at every start of a driver."""
        self._carry_out(lambda frontend: frontend.choose(features))

    def share_memory(self) -> None:
        """Send the memory table."""
        regions = self.memory.descriptions
        files = [self.memory.descriptor] * len(regions)
        self._carry_out(lambda frontend: frontend.share(regions, files))

    def read_config(self, offset: int = 0, size: int = 16) -> bytes:
        """Return a part of the configuration space."""
        outcome = self._carry_out(lambda frontend: frontend.read_config(offset, size))
        assert isinstance(outcome, outcomes.ConfigRead)
        return outcome.data

    def write_config(self, offset: int, data: bytes) -> None:
        """Write to the configuration space."""
        self._carry_out(lambda frontend: frontend.write_config(offset, data))

    def wait_for_config_change(self) -> None:
        """Wait until the device announces a new configuration."""
        try:
            data = self.channel.recv(messages.HEADER_SIZE)
        except TimeoutError as error:
            raise LinkError("the device announces nothing") from error
        if data != messages.encode(messages.BackendRequest.CONFIG_CHANGE_MSG):
            raise PeerError(f"not an announcement: {data!r}")

    # ---- rings

    def start_ring(self, index: int, ring: DriverSide, base: int = 0) -> None:
        """Describe a ring and enable it."""
        self.describe_ring(index, ring, base)
        self.enable_ring(index)

    def describe_ring(
        self, index: int, ring: DriverSide, base: int = 0, *, big_endian: bool = False
    ) -> None:
        """Describe a ring, and give it a kick and a call; `enable_ring` makes it run."""
        kick, call = self._notifications_of(index)
        desc, avail, used = (USER_BASE + part for part in ring.layout[:3])
        plan = RingPlan(index, ring.size, desc, avail, used, base, kick, call, big_endian)
        self._carry_out(lambda frontend: frontend.describe([plan]))

    def send_notifications(self, index: int) -> None:
        """Give a ring its kick and its call, which may also be done while it runs."""
        kick, call = self._notifications_of(index)
        self._do(Request.SET_VRING_KICK, messages.encode_u64(index), [kick])
        self._do(Request.SET_VRING_CALL, messages.encode_u64(index), [call])

    def enable_ring(self, index: int, *, enabled: bool = True) -> None:
        """Enable or disable a ring."""
        self._carry_out(lambda frontend: frontend.enable([index], enabled=enabled))

    def stop_ring(self, index: int) -> int:
        """Disable and end a ring; return the index to start it from again."""
        outcome = self._carry_out(lambda frontend: frontend.stop([index]))
        assert isinstance(outcome, outcomes.Stopped)
        return outcome.bases[index]

    def kick(self, index: int) -> None:
        """Tell the device that ring `index` has buffers."""
        os.eventfd_write(self._notifications[index].kick, 1)

    def wait_for_call(self, index: int) -> None:
        """Wait until the device tells of used buffers in ring `index`."""
        if not self.called(index, self.timeout):
            raise LinkError(f"ring {index} is not called")

    def called(self, index: int, seconds: float = 0) -> bool:
        """Return whether the device has told of used buffers, or does so within `seconds`."""
        call = self._notifications[index].call
        if not select.select([call], [], [], seconds)[0]:
            return False
        os.eventfd_read(call)
        return True

    def renew_notifications(self, index: int) -> None:
        """Give a ring another kick and another call, while it may be running."""
        old = self._notifications.pop(index)
        self.send_notifications(index)
        os.close(old.kick)
        os.close(old.call)

    def _notifications_of(self, index: int) -> _Notifications:
        if index not in self._notifications:
            flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
            # A kick that is there already, as QEMU's are.
            self._notifications[index] = _Notifications(os.eventfd(1, flags), os.eventfd(0, flags))
        return self._notifications[index]

    def _do(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        if not self.request(request, payload, descriptors):
            raise PeerError(f"the device refused request {request}")

    def _carry_out(self, begin: Callable[[Frontend], None]) -> outcomes.Outcome:
        """Carry a procedure of the conversation through; raises `PeerError` at a refusal."""
        begin(self.conversation)
        while (outcome := self.conversation.next_outcome()) is None:
            while (message := self.conversation.next_message()) is not None:
                self.send_raw(*message)
            if self.conversation.awaits is not None:
                self.conversation.receive(self._receive(self.conversation.bytes_desired()))
        if isinstance(outcome, outcomes.Refused):
            raise PeerError(f"the device refused request {outcome.request}")
        return outcome
