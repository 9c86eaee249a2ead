"""The back-end's side of a vhost-user conversation, sans-I/O.

Implements "Vhost-user Protocol" (QEMU, docs/interop/vhost-user): the requests that user-mode
Linux, and the generic vhost-user devices of QEMU and Cloud Hypervisor, send to a device with rings
and a configuration space. What they have said so far is in `aerostat.vhost_user.setup`.

Bytes and descriptors go in through `receive`, events come out of `next_event`, each is answered
in turn, and `data_to_send` has the answers. Touches no socket and no memory; it only closes
descriptors that nobody took. Standard library only.

Everything a front-end sends is hostile until checked. A message that breaks the framing ends the
conversation (`ConversationError`); any other bad request is refused, counted and survived.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from aerostat.errors import UsageError
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.framing import Incoming
from aerostat.vhost_user.messages import (
    ConfigPart,
    PayloadError,
    ProtocolFeature,
    Request,
    RingAddresses,
    RingState,
)
from aerostat.vhost_user.setup import RefusalError, RingSetup, Setup

PROTOCOL_FEATURES = (
    1 << ProtocolFeature.MQ
    | 1 << ProtocolFeature.REPLY_ACK
    | 1 << ProtocolFeature.BACKEND_REQ
    | 1 << ProtocolFeature.CROSS_ENDIAN
    | 1 << ProtocolFeature.CONFIG
    | 1 << ProtocolFeature.RESET_DEVICE
    | 1 << ProtocolFeature.CONFIGURE_MEM_SLOTS
    | 1 << ProtocolFeature.STATUS
)

_PROTOCOL_BIT = 1 << messages.F_PROTOCOL_FEATURES


class Backend:
    """One conversation with one front-end, from its connection to its end."""

    def __init__(self, *, features: int, ring_count: int, config_size: int) -> None:
        if not 0 < config_size <= messages.MAX_CONFIG_SIZE:
            raise UsageError(f"a configuration space of {config_size} bytes")
        self.protocol_features = 0
        self.config_size = config_size
        self._setup = Setup(features, ring_count)
        self._incoming = Incoming()
        self._output = bytearray()
        self._open: messages.Header | None = None
        self._config_offset = 0
        self._stopped_ring = 0

    @property
    def rings(self) -> tuple[RingSetup, ...]:
        """What the front-end has said of each ring."""
        return self._setup.rings

    @property
    def running(self) -> bool:
        """Whether the guest's driver is at work: a ring is ready."""
        return self._setup.running

    def has(self, feature: ProtocolFeature) -> bool:
        """Return whether a protocol feature was negotiated."""
        return bool(self.protocol_features >> feature & 1)

    def need_reset(self) -> bool:
        """Let the device status say that the driver must reset the device (virtio 1.2, 2.1.2).

        Return whether that is news, to a front-end that asks for the status.
        """
        news = self.has(ProtocolFeature.STATUS) and not self._setup.needs_reset
        self._setup.needs_reset = True
        return news

    # ---- bytes in, bytes out

    def bytes_desired(self) -> int:
        """Return how many bytes may be read now without reading into the next message.

        Descriptors arrive beside bytes; reading no further than this keeps each with its message.
        """
        return self._incoming.bytes_desired()

    @property
    def within_message(self) -> bool:
        """Whether a message has begun and its end has not come."""
        return self._incoming.within_message

    def receive(self, data: bytes, descriptors: Iterable[int] = ()) -> None:
        """Take bytes and the descriptors that came with them; they are owned here from now on.

        Raises `ConversationError` where a message brings more descriptors than any may have.
        """
        self._incoming.receive(data, descriptors)

    def data_to_send(self) -> bytes:
        """Return what is to be sent to the front-end, once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def config_changed(self) -> bytes | None:
        """Return the message that announces a new configuration, for the back-end's channel.

        None while no ring is ready: a front-end whose device is not running would have to find
        that device first, and QEMU dies looking. The driver reads the configuration when it
        starts; after a pause, announce again.
        """
        if not self.has(ProtocolFeature.BACKEND_REQ) or not self.running:
            return None
        return messages.encode(messages.BackendRequest.CONFIG_CHANGE_MSG)

    def state(self) -> dict[str, Any]:
        """Return how far the conversation has come, as values that JSON has.

        Between two events, with nothing to send; but for the `unfinished` message's descriptors.
        """
        return {
            "protocol_features": self.protocol_features,
            "setup": self._setup.state(),
            "incoming": self._incoming.state(),
        }

    @property
    def unfinished(self) -> list[OwnedDescriptor]:
        """The descriptors that came with a message that is not whole yet; they stay ours."""
        return self._incoming.descriptors

    def restore(self, state: Mapping[str, Any], unfinished: Iterable[OwnedDescriptor]) -> None:
        """Go on where another was, by its `state`; own its `unfinished` descriptors.

        Raises `PeerError` for a state that cannot be.
        """
        self._incoming.restore(state["incoming"], unfinished)
        self.protocol_features = state["protocol_features"] & PROTOCOL_FEATURES
        self._setup.restore(state["setup"])

    def close(self) -> None:
        """End the conversation: close every descriptor that was not handed over."""
        self._incoming.broken("closed")

    # ---- events and their answers

    def next_event(self) -> events.Event | None:
        """Return the next request that the adapter must act on, or None when bytes are missing.

        Raises `ConversationError`, at once and at every call after it, when the framing is lost;
        `UsageError` if the last event was not answered.
        """
        if self._open is not None:
            raise UsageError(f"request {self._open.request} was not answered")
        while (message := self._incoming.next_message()) is not None:
            header, payload = message
            self._open = header
            try:
                event = self._handle(header, payload)
            except (PayloadError, RefusalError) as error:
                event = self._refused(str(error))
            finally:
                self._incoming.drop_descriptors()
            if event is not None:
                return event
        return None

    def accept(self) -> None:
        """Answer the open request: done."""
        self._acknowledge(0)

    def refuse(self) -> None:
        """Answer the open request: it failed. One that has a reply of its own cannot be refused."""
        self._acknowledge(1)

    def reply_config(self, data: bytes) -> None:
        """Answer a `ConfigRead` with exactly as many bytes as it asked for."""
        self._reply(Request.GET_CONFIG, ConfigPart(self._config_offset, 0, data).encode())

    def reply_ring_base(self, base: int) -> None:
        """Answer a `RingStopped`: `base` is the next available index that was not used."""
        self._reply(Request.GET_VRING_BASE, RingState(self._stopped_ring, base).encode())
        self.rings[self._stopped_ring].forget()

    # ---- replies

    def _reply(self, request: int, payload: bytes) -> None:
        if self._open is None or self._open.request != request:
            raise UsageError(f"no request {request} is open")
        self._output += messages.encode(request, payload, flags=messages.FLAG_REPLY)
        self._open = None

    def _acknowledge(self, status: int) -> None:
        """Answer a request without a reply of its own, if the front-end asked for an answer.

        The flag alone decides: user-mode Linux sets it on the very message that negotiates
        REPLY_ACK, and a front-end that sets it waits.
        """
        header = self._open
        if header is None or header.request in messages.REPLYING:
            raise UsageError("no request is open that can be acknowledged")
        if header.flags & messages.FLAG_NEED_REPLY:
            payload = messages.encode_u64(status)
            self._output += messages.encode(header.request, payload, flags=messages.FLAG_REPLY)
        self._open = None

    def _refused(self, reason: str) -> events.Refused:
        header = self._open
        assert header is not None
        if header.request == Request.GET_CONFIG:
            # "Virtio device config space": a back-end that cannot answers with no payload.
            self._reply(Request.GET_CONFIG, b"")
        elif header.request in messages.REPLYING:
            # Its reply cannot say no, and the front-end waits for it.
            self._open = None
            raise self._incoming.broken(f"request {header.request}: {reason}")
        else:
            self.refuse()
        return events.Refused(header.request, reason)

    # ---- requests

    def _handle(self, header: messages.Header, payload: bytes) -> events.Event | None:
        handler = self._HANDLERS.get(header.request)
        if handler is None:
            raise RefusalError(f"request {header.request} is not known here")
        return handler(self, payload)

    def _take_descriptor(self) -> OwnedDescriptor:
        if len(self._incoming.descriptors) != 1:
            raise RefusalError(f"{len(self._incoming.descriptors)} descriptors where one was due")
        return self._incoming.descriptors.pop()

    def _get_features(self, _payload: bytes) -> None:
        self._reply(Request.GET_FEATURES, messages.encode_u64(self._setup.offered_features))

    def _get_protocol_features(self, _payload: bytes) -> None:
        self._reply(Request.GET_PROTOCOL_FEATURES, messages.encode_u64(PROTOCOL_FEATURES))

    def _set_protocol_features(self, payload: bytes) -> None:
        features = messages.decode_u64(payload)
        if features & ~PROTOCOL_FEATURES:
            raise RefusalError(f"protocol features {features:#x} were not all offered")
        self.protocol_features = features
        self.accept()

    def _get_queue_num(self, _payload: bytes) -> None:
        self._reply(Request.GET_QUEUE_NUM, messages.encode_u64(len(self.rings)))

    def _set_owner(self, _payload: bytes) -> None:
        self.accept()

    def _set_features(self, payload: bytes) -> events.FeaturesSet:
        features = messages.decode_u64(payload)
        self._setup.set_features(features)
        return events.FeaturesSet(features & ~_PROTOCOL_BIT)

    def _get_status(self, _payload: bytes) -> None:
        self._reply(Request.GET_STATUS, messages.encode_u64(self._setup.status))

    def _set_status(self, payload: bytes) -> events.DeviceReset | None:
        status = messages.decode_u64(payload)
        self._setup.set_status(status)
        if status == 0:
            return events.DeviceReset()
        self.accept()
        return None

    def _set_memory_table(self, payload: bytes) -> events.MemoryTableSet:
        regions = messages.decode_memory_table(payload)
        descriptors = tuple(self._incoming.descriptors)
        if len(descriptors) != len(regions):
            raise RefusalError(f"{len(regions)} regions with {len(descriptors)} descriptors")
        self._incoming.descriptors.clear()
        return events.MemoryTableSet(regions, descriptors)

    def _get_max_slots(self, _payload: bytes) -> None:
        self._reply(Request.GET_MAX_MEM_SLOTS, messages.encode_u64(messages.MAX_SLOTS))

    def _add_region(self, payload: bytes) -> events.RegionAdded:
        region = messages.decode_region(payload)
        return events.RegionAdded(region, self._take_descriptor())

    def _remove_region(self, payload: bytes) -> events.RegionRemoved:
        # Some front-ends send a descriptor here too; it is closed unseen.
        return events.RegionRemoved(messages.decode_region(payload))

    def _set_ring_size(self, payload: bytes) -> None:
        self._setup.set_size(*RingState.decode(payload))
        self.accept()

    def _set_ring_addresses(self, payload: bytes) -> None:
        self._setup.set_addresses(RingAddresses.decode(payload))
        self.accept()

    def _set_ring_base(self, payload: bytes) -> None:
        self._setup.set_base(*RingState.decode(payload))
        self.accept()

    def _set_ring_byteorder(self, payload: bytes) -> None:
        self._setup.set_byteorder(*RingState.decode(payload))
        self.accept()

    def _get_ring_base(self, payload: bytes) -> events.RingStopped:
        index, _ = RingState.decode(payload)
        self._setup.ring(index).started = False
        self._stopped_ring = index
        return events.RingStopped(index)

    def _set_kick(self, payload: bytes) -> events.KickSet:
        index, descriptor = self._ring_descriptor(payload)
        if descriptor is None:
            raise RefusalError(f"ring {index} without a kick would have to be polled")
        self.rings[index].started = True
        return events.KickSet(index, descriptor)

    def _set_call(self, payload: bytes) -> events.CallSet:
        return events.CallSet(*self._ring_descriptor(payload))

    def _set_error(self, payload: bytes) -> None:
        # Errors are told through counters and the log; a front-end does nothing with the event.
        _, descriptor = self._ring_descriptor(payload)
        if descriptor is not None:
            descriptor.close()
        self.accept()

    def _ring_descriptor(self, payload: bytes) -> tuple[int, OwnedDescriptor | None]:
        value = messages.decode_u64(payload)
        index = value & messages.RING_INDEX_MASK
        self._setup.ring(index)
        if value & messages.RING_NO_DESCRIPTOR:
            return index, None
        return index, self._take_descriptor()

    def _set_enable(self, payload: bytes) -> events.RingEnabled:
        index, value = RingState.decode(payload)
        self._setup.set_enabled(index, value)
        return events.RingEnabled(index, bool(value))

    def _set_channel(self, _payload: bytes) -> events.ChannelSet:
        return events.ChannelSet(self._take_descriptor())

    def _get_config(self, payload: bytes) -> events.ConfigRead:
        part = ConfigPart.decode(payload)
        self._check_config(part)
        self._config_offset = part.offset
        return events.ConfigRead(part.offset, len(part.data))

    def _set_config(self, payload: bytes) -> events.ConfigWritten:
        # The flags are not consulted: front-ends disagree about them, and what a driver may
        # write is known without them.
        part = ConfigPart.decode(payload)
        self._check_config(part)
        return events.ConfigWritten(part.offset, part.data)

    def _check_config(self, part: ConfigPart) -> None:
        if not part.data or part.offset + len(part.data) > self.config_size:
            raise RefusalError(f"{len(part.data)} bytes of configuration at {part.offset}")

    def _reset(self, _payload: bytes) -> events.DeviceReset:
        self._setup.reset()
        return events.DeviceReset()

    _HANDLERS: ClassVar[dict[int, Callable[["Backend", bytes], events.Event | None]]] = {
        Request.GET_FEATURES: _get_features,
        Request.SET_FEATURES: _set_features,
        Request.SET_OWNER: _set_owner,
        Request.RESET_OWNER: _reset,
        Request.SET_MEM_TABLE: _set_memory_table,
        Request.SET_VRING_NUM: _set_ring_size,
        Request.SET_VRING_ADDR: _set_ring_addresses,
        Request.SET_VRING_BASE: _set_ring_base,
        Request.GET_VRING_BASE: _get_ring_base,
        Request.SET_VRING_KICK: _set_kick,
        Request.SET_VRING_CALL: _set_call,
        Request.SET_VRING_ERR: _set_error,
        Request.GET_PROTOCOL_FEATURES: _get_protocol_features,
        Request.SET_PROTOCOL_FEATURES: _set_protocol_features,
        Request.GET_QUEUE_NUM: _get_queue_num,
        Request.SET_VRING_ENABLE: _set_enable,
        Request.SET_BACKEND_REQ_FD: _set_channel,
        Request.SET_VRING_ENDIAN: _set_ring_byteorder,
        Request.GET_CONFIG: _get_config,
        Request.SET_CONFIG: _set_config,
        Request.RESET_DEVICE: _reset,
        Request.GET_MAX_MEM_SLOTS: _get_max_slots,
        Request.ADD_MEM_REG: _add_region,
        Request.REM_MEM_REG: _remove_region,
        Request.SET_STATUS: _set_status,
        Request.GET_STATUS: _get_status,
    }
