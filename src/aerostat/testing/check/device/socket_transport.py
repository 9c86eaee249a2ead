"""The transport of vhost-user: a front-end in our hands, and the guest's memory in a memfd.

Implements `machine.Transport` over `mocks.frontend`. Touches a socket and a memfd; what the host
has of the memory is seen by the memfd's holes. Linux only; standard library only.
"""

import contextlib
import os
import select
import time
from collections.abc import Collection, Sequence

from aerostat.errors import LinkError, PeerError
from aerostat.testing.check.checks import Unobservable
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.closing import Closing
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, MockFrontend, SharedFile
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import ProtocolFeature, Request
from aerostat.vhost_user.setup import FEATURES_OK, NEEDS_RESET
from aerostat.virtio.memory import Byteorder, GuestMemory
from aerostat.virtio.ring import DriverSide

#: What is agreed on where it is offered.
WANTED = (
    PROTOCOL_FEATURES
    | 1 << ProtocolFeature.STATUS
    | 1 << ProtocolFeature.RESET_DEVICE
    | 1 << ProtocolFeature.CROSS_ENDIAN
)

_ACKNOWLEDGED = 3  # ACKNOWLEDGE | DRIVER, virtio 1.2, 2.1
_DRIVER_OK = 4


class SocketTransport(Closing):
    """A front-end at the socket `path`, whose guest has the memory `file`; closed with it.

    Negotiates at once; the memory is not shared, and no features are chosen yet. Raises `LinkError`
    where nobody answers for `patience` seconds.
    """

    is_legacy = False
    begins_anywhere = True
    ring_align = 4

    def __init__(
        self, path: str, file: SharedFile, *, patience: float, protocol_features: int = WANTED
    ) -> None:
        self.file = file
        self.path = path
        self._errors: dict[int, int] = {}
        self._described: set[int] = set()
        self._closed = False
        try:
            self.front_end = MockFrontend(
                path, self.file, protocol_features=protocol_features, timeout=patience
            )
        except OSError as error:
            self.file.close()
            raise LinkError(f"nobody listens at {path}: {error.strerror}") from error
        try:
            self._negotiate()
        except (OSError, PeerError, LinkError) as error:
            self.front_end.close()
            self.file.close()
            raise _link_error(error) from error

    def _negotiate(self) -> None:
        self.front_end.begin()
        self.offered = self.front_end.conversation.offered_features & ~(
            1 << messages.F_PROTOCOL_FEATURES
        )

    @property
    def memory(self) -> GuestMemory:
        """The guest's memory."""
        return self.file.memory

    def agreed(self, feature: ProtocolFeature) -> bool:
        """Return whether both sides have a protocol feature."""
        return self.front_end.conversation.agreed(feature)

    def close(self) -> None:
        """Hang up, and let go of the memory; once, however often it is called."""
        if self._closed:
            return
        self._closed = True
        self.front_end.close()
        for error in self._errors.values():
            os.close(error)
        self._errors.clear()
        self.file.close()

    # ---- a driver's life

    def ring_size(self, _index: int, wanted: int) -> int:
        """Return what is wanted: over vhost-user the driver's side chooses."""
        return wanted

    def choose(self, features: int) -> None:
        """Tell the features, and share the memory, as at every start."""
        self.front_end.choose(features)
        if self.agreed(ProtocolFeature.STATUS):
            self._set_status(_ACKNOWLEDGED | FEATURES_OK)
            if not self.status() & FEATURES_OK:
                raise PeerError("the device took FEATURES_OK away")
        self.front_end.share_memory()

    def describe(
        self,
        index: int,
        ring: DriverSide,
        base: int | None = None,
        *,
        byteorder: Byteorder = "little",
    ) -> None:
        """Describe a ring; it has a kick, which is there already, and a call."""
        begin = ring.base if base is None else base
        self.front_end.describe_ring(index, ring, begin, big_endian=byteorder == "big")
        self._described.add(index)
        if index not in self._errors:
            self._errors[index] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.tell(Request.SET_VRING_ERR, messages.encode_u64(index), [self._errors[index]])

    def run(self, indices: Collection[int]) -> None:
        """Enable rings."""
        for index in indices:
            self.front_end.enable_ring(index)
        if self.agreed(ProtocolFeature.STATUS):
            self._set_status(_ACKNOWLEDGED | FEATURES_OK | _DRIVER_OK)

    def stop(self, indices: Collection[int]) -> dict[int, int]:
        """Stop rings; return the index from which each is to go on."""
        self._described -= set(indices)
        return {index: self.front_end.stop_ring(index) for index in indices}

    def reset(self) -> None:
        """Stop every ring and, where it can be said, reset the device."""
        self.stop(sorted(self._described))
        if self.agreed(ProtocolFeature.STATUS):
            self._set_status(0)

    # ---- status, configuration, notifications

    def status(self) -> int:
        """Return the device status, which needs the protocol feature."""
        if not self.agreed(ProtocolFeature.STATUS):
            raise Unobservable("the device has no status over vhost-user")
        return messages.decode_u64(self.front_end.ask(Request.GET_STATUS))

    def _set_status(self, status: int) -> None:
        self.tell(Request.SET_STATUS, messages.encode_u64(status))

    def tell(self, request: int, payload: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Send a request that has no reply of its own. Raises `PeerError` if it is refused."""
        if not self.agreed(ProtocolFeature.REPLY_ACK):
            self.front_end.send_raw(messages.encode(request, payload), descriptors)
        elif not self.front_end.request(request, payload, descriptors):
            raise PeerError(f"the device refused request {request}")

    def needs_reset(self) -> bool:
        """Return whether the device has hung up, says so in its status, or by an error event."""
        try:
            if self.agreed(ProtocolFeature.STATUS) and self.status() & NEEDS_RESET:
                return True
            self.settle()
        except LinkError as error:
            return not error.retryable
        except OSError:
            return True
        return bool(select.select(list(self._errors.values()), [], [], 0)[0])

    def read_config(self, offset: int, size: int) -> bytes:
        """Return bytes of the configuration space."""
        self._must_have_config()
        return self.front_end.read_config(offset, size)

    def write_config(self, offset: int, data: bytes) -> None:
        """Write bytes of the configuration space."""
        self._must_have_config()
        self.front_end.write_config(offset, data)

    def _must_have_config(self) -> None:
        if not self.agreed(ProtocolFeature.CONFIG):
            raise Unobservable("the device has no configuration space over vhost-user")

    def settle(self) -> None:
        """Ask twice for something: the first answer may come in the turn that notices a kick."""
        for _ in range(2):
            self.front_end.ask(Request.GET_FEATURES)

    def kick(self, index: int) -> None:
        """Signal a ring's kick."""
        self.front_end.kick(index)

    def called(self, index: int, seconds: float = 0) -> bool:
        """Return whether a ring's call was signalled."""
        return self.front_end.called(index, seconds)

    def heard(self, seconds: float) -> bytes:
        """Return what the device says on its own channel within `seconds`, which are waited for."""
        end = time.monotonic() + seconds
        said = b""
        while (left := end - time.monotonic()) > 0:
            if select.select([self.front_end.channel], [], [], left)[0]:
                part = self.front_end.channel.recv(4096)
                if not part:
                    break
                said += part
        return said

    def announces(self, seconds: float) -> bool:
        """Return whether the device says something on its own channel, if it has one."""
        if not self.agreed(ProtocolFeature.BACKEND_REQ):
            raise Unobservable("the device has no channel of its own")
        return bool(self.heard(seconds))

    # ---- what the host has

    def is_hole(self, address: int) -> bool:
        """Return whether the page at `address` takes no memory of the host."""
        ((region, offset, _),) = self.memory.split(address, 1)
        position = region.file_offset + offset
        with contextlib.suppress(OSError):  # nothing but hole from there on
            return os.lseek(self.file.descriptor, position, os.SEEK_DATA) != position
        return True


def socket_of(machine: Machine) -> SocketTransport:
    """Return the front-end of a machine. Raises `Unobservable` over any other transport."""
    if not isinstance(machine.transport, SocketTransport):
        raise Unobservable("only a front-end of vhost-user sees it")
    return machine.transport


def _link_error(error: Exception) -> LinkError:
    if isinstance(error, LinkError):
        return error
    return LinkError(str(error), retryable=False)
