"""The front-end's side of a vhost-user conversation, sans-I/O.

Implements "Vhost-user Protocol" (QEMU, docs/interop/vhost-user): what a VMM says to a device with
rings and a configuration space. The counterpart of `aerostat.vhost_user.backend`. Touches no
socket and no memory. Standard library only.

What is to be done is asked for by a method: first `negotiate`; at each start of a driver `choose`,
`share`, `describe`, `enable`; then `stop`. Each stands for a procedure of one or several messages.
Procedures run one after the other, and every message waits for the answer to the one before.
`next_message` has what is to be sent, `receive` takes the answers, `next_outcome` tells how each
procedure ended. ::

    frontend.negotiate(channel.fileno())
    while (message := frontend.next_message()) is not None:
        send(message.data, message.descriptors)
    frontend.receive(data, descriptors)
    while (outcome := frontend.next_outcome()) is not None:
        ...

Everything a back-end sends is hostile until checked. An answer that is not what was asked for
ends the conversation (`ConversationError`); a refusal is an outcome like others.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

from aerostat.errors import UsageError
from aerostat.vhost_user import messages, outcomes
from aerostat.vhost_user.framing import Incoming
from aerostat.vhost_user.messages import (
    ConfigPart,
    PayloadError,
    ProtocolFeature,
    RegionDescription,
    Request,
    RingAddresses,
    RingState,
)
from aerostat.virtio.features import RING_PACKED, has

#: What is made use of where the back-end offers it.
PROTOCOL_FEATURES = (
    1 << ProtocolFeature.MQ
    | 1 << ProtocolFeature.REPLY_ACK
    | 1 << ProtocolFeature.BACKEND_REQ
    | 1 << ProtocolFeature.CROSS_ENDIAN
    | 1 << ProtocolFeature.CONFIG
    | 1 << ProtocolFeature.RESET_DEVICE
    | 1 << ProtocolFeature.CONFIGURE_MEM_SLOTS
)

# Without CONFIGURE_MEM_SLOTS, a table has no more ("Memory regions description").
_MAX_TABLE = messages.MAX_REGIONS

_PROTOCOL_BIT = 1 << messages.F_PROTOCOL_FEATURES


class Message(NamedTuple):
    """What is to be sent at once; the descriptors, which stay the caller's, with its first byte."""

    data: bytes
    descriptors: tuple[int, ...]


class RingPlan(NamedTuple):
    """All that a back-end is told of a ring.

    The addresses are in the front-end's own address space. `base` is where to start from, an index
    or a packed ring's positions. `kick` and `call` are descriptors; no `call`: used buffers are not
    announced. `big_endian` is for a legacy guest whose rings are in that byte order.
    """

    ring: int
    size: int
    descriptors: int
    available: int
    used: int
    base: int
    kick: int
    call: int | None
    big_endian: bool = False


class _Call(NamedTuple):
    """A message, and whether it has a reply of its own; others are acknowledged."""

    request: Request
    payload: bytes
    descriptors: tuple[int, ...]
    replies: bool


_Step = Generator[_Call, bytes, None]
_Asking = Generator[_Call, bytes, bytes]
_Procedure = Generator[_Call, bytes, outcomes.Outcome]


class _RefusalError(Exception):
    """The back-end said no, by a reply of its own."""


class Frontend:
    """One conversation with one back-end, from its connection to its end.

    `wanted` are the protocol features to agree on where they are offered.
    """

    def __init__(self, *, wanted: int = PROTOCOL_FEATURES) -> None:
        self.offered_features = 0
        self.features = 0
        self.protocol_features = 0
        self.queue_count = 0
        self.max_regions = _MAX_TABLE
        self._wanted = wanted
        self._shared: tuple[RegionDescription, ...] = ()
        self._incoming = Incoming(replies=True)
        self._output: deque[Message] = deque()
        self._outcomes: deque[outcomes.Outcome] = deque()
        self._waiting: deque[_Procedure] = deque()
        self._running: _Procedure | None = None
        self._open: _Call | None = None

    # ---- bytes in, bytes out

    def bytes_desired(self) -> int:
        """Return how many bytes may be read now without reading into the next message."""
        return self._incoming.bytes_desired()

    def receive(self, data: bytes, descriptors: Iterable[int] = ()) -> None:
        """Take bytes and the descriptors that came with them; the latter are closed.

        Raises `ConversationError`, at once and at every call after it, for anything that is not
        the answer to what was asked.
        """
        self._incoming.receive(data, descriptors)
        if self._incoming.descriptors:
            raise self._incoming.broken("descriptors that nobody asked for")
        while (message := self._incoming.next_message()) is not None:
            self._answered(*message)

    def next_message(self) -> Message | None:
        """Return the next message to send, once; None if an answer is due or nothing is to do."""
        return self._output.popleft() if self._output else None

    def next_outcome(self) -> outcomes.Outcome | None:
        """Return how the next procedure ended, once; None if none has."""
        return self._outcomes.popleft() if self._outcomes else None

    @property
    def awaits(self) -> Request | None:
        """The request whose answer is due, if one is."""
        return None if self._open is None else self._open.request

    def agreed(self, feature: ProtocolFeature) -> bool:
        """Return whether both sides have this protocol feature."""
        return bool(self.protocol_features >> feature & 1)

    def close(self) -> None:
        """End the conversation; nothing more is said."""
        self._incoming.broken("closed")
        self._output.clear()
        self._waiting.clear()
        if self._running is not None:
            self._running.close()
            self._running = None

    # ---- procedures

    def negotiate(self, channel: int | None = None) -> None:
        """Agree on what the two sides share; ends with `Negotiated`.

        `channel` is the descriptor on which the back-end may make requests of its own.
        """
        self._begin(self._negotiate(channel))

    def choose(self, features: int) -> None:
        """Say which virtio features the driver has chosen; ends with `FeaturesChosen`."""
        self._begin(self._choose(features))

    def share(self, regions: Sequence[RegionDescription], descriptors: Sequence[int]) -> None:
        """Give the back-end the guest's memory anew; ends with `MemoryShared`.

        There is a descriptor for each region. Raises `UsageError` for more than `max_regions`.
        """
        if not 0 < len(regions) <= self.max_regions or len(regions) != len(descriptors):
            raise UsageError(
                f"{len(regions)} regions, {len(descriptors)} descriptors, room for"
                f" {self.max_regions}"
            )
        self._begin(self._share(tuple(regions), tuple(descriptors)))

    def describe(self, rings: Sequence[RingPlan]) -> None:
        """Say all of each ring, and start it by its kick; ends with `Described`.

        Raises `UsageError` for a byte order that the back-end cannot be told of.
        """
        big_endian = any(ring.big_endian for ring in rings)
        if big_endian and not self.agreed(ProtocolFeature.CROSS_ENDIAN):
            raise UsageError("this back-end cannot be told of big-endian rings")
        self._begin(self._describe(tuple(rings)))

    def enable(self, rings: Iterable[int], *, enabled: bool = True) -> None:
        """Enable or disable rings; ends with `Enabled`."""
        self._begin(self._enable(tuple(rings), enabled=enabled))

    def stop(self, rings: Iterable[int]) -> None:
        """Disable rings, then end each; ends with `Stopped`."""
        self._begin(self._stop(tuple(rings)))

    def read_config(self, offset: int, size: int) -> None:
        """Read from the device's configuration space; ends with `ConfigRead`."""
        self._begin(self._read_config(offset, size))

    def write_config(self, offset: int, data: bytes) -> None:
        """Write to the device's configuration space; ends with `ConfigWritten`."""
        self._begin(self._write_config(offset, data))

    def reset(self) -> None:
        """Let the device start over, for back-ends that agreed to it; ends with `DeviceReset`."""
        if not self.agreed(ProtocolFeature.RESET_DEVICE):
            raise UsageError("this back-end has no RESET_DEVICE; stop its rings instead")
        self._begin(self._reset())

    # ---- how procedures run

    def _begin(self, procedure: _Procedure) -> None:
        self._waiting.append(procedure)
        if self._running is None:
            self._next_procedure()

    def _next_procedure(self) -> None:
        while self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._advance(next)

    def _advance(self, step: Callable[[_Procedure], _Call]) -> None:
        """Let the running procedure say what it can without an answer."""
        procedure = self._running
        assert procedure is not None
        try:
            while not self._say(step(procedure)):
                step = _acknowledge
        except StopIteration as end:
            self._outcomes.append(end.value)
        except _RefusalError:
            assert self._open is not None
            self._outcomes.append(outcomes.Refused(self._open.request))
        else:
            return
        self._running = None
        self._open = None

    def _say(self, call: _Call) -> bool:
        """Queue a message; return whether an answer is due."""
        acknowledged = self.agreed(ProtocolFeature.REPLY_ACK) and not call.replies
        flags = messages.FLAG_NEED_REPLY if acknowledged else 0
        data = messages.encode(call.request, call.payload, flags=flags)
        self._output.append(Message(data, call.descriptors))
        self._open = call if acknowledged or call.replies else None
        return self._open is not None

    def _answered(self, header: messages.Header, payload: bytes) -> None:
        call = self._open
        if call is None or header.request != call.request:
            raise self._incoming.broken(f"a reply to request {header.request}, which was not asked")
        if header.flags != messages.VERSION | messages.FLAG_REPLY:
            raise self._incoming.broken(f"a reply with flags {header.flags:#x}")
        try:
            if call.replies:
                self._advance(lambda procedure: procedure.send(payload))
            elif messages.decode_u64(payload) == 0:
                self._advance(_acknowledge)
            else:
                self._advance(_refuse)
        except PayloadError as error:
            raise self._incoming.broken(f"reply to request {call.request}: {error}") from error
        self._next_procedure()

    # ---- what is said

    def _negotiate(self, channel: int | None) -> _Procedure:
        self.offered_features = messages.decode_u64((yield from _ask(Request.GET_FEATURES)))
        if not self.offered_features & _PROTOCOL_BIT:
            raise PayloadError("no protocol features, without which there is no configuration")
        offered = messages.decode_u64((yield from _ask(Request.GET_PROTOCOL_FEATURES)))
        agreed = offered & self._wanted
        yield from _do(Request.SET_PROTOCOL_FEATURES, messages.encode_u64(agreed))
        self.protocol_features = agreed
        if self.agreed(ProtocolFeature.MQ):
            self.queue_count = messages.decode_u64((yield from _ask(Request.GET_QUEUE_NUM)))
        if self.agreed(ProtocolFeature.CONFIGURE_MEM_SLOTS):
            slots = messages.decode_u64((yield from _ask(Request.GET_MAX_MEM_SLOTS)))
            self.max_regions = max(1, slots)
        yield from _do(Request.SET_OWNER)
        if channel is not None and self.agreed(ProtocolFeature.BACKEND_REQ):
            yield from _do(Request.SET_BACKEND_REQ_FD, descriptors=(channel,))
        return outcomes.Negotiated(self.offered_features & ~_PROTOCOL_BIT, self.queue_count)

    def _choose(self, features: int) -> _Procedure:
        self.features = features & ~_PROTOCOL_BIT
        yield from _do(Request.SET_FEATURES, messages.encode_u64(features | _PROTOCOL_BIT))
        return outcomes.FeaturesChosen(self.features)

    def _share(
        self, regions: tuple[RegionDescription, ...], descriptors: tuple[int, ...]
    ) -> _Procedure:
        if not self.agreed(ProtocolFeature.CONFIGURE_MEM_SLOTS):
            table = messages.encode_memory_table(regions)
            yield from _do(Request.SET_MEM_TABLE, table, descriptors)
            return outcomes.MemoryShared()
        for region in set(self._shared) - set(regions):
            yield from _do(Request.REM_MEM_REG, messages.encode_region(region))
            self._shared = tuple(other for other in self._shared if other != region)
        for region, descriptor in zip(regions, descriptors, strict=True):
            if region not in self._shared:
                added = messages.encode_region(region)
                yield from _do(Request.ADD_MEM_REG, added, (descriptor,))
                self._shared += (region,)
        return outcomes.MemoryShared()

    def _describe(self, rings: tuple[RingPlan, ...]) -> _Procedure:
        for plan in rings:
            yield from self._describe_one(plan)
        return outcomes.Described(tuple(plan.ring for plan in rings))

    def _describe_one(self, plan: RingPlan) -> _Step:
        """Say all of a ring; its kick, which starts it, comes last."""
        ring = plan.ring
        if self.agreed(ProtocolFeature.CROSS_ENDIAN):
            order = messages.RING_BIG_ENDIAN if plan.big_endian else messages.RING_LITTLE_ENDIAN
            yield from _do(Request.SET_VRING_ENDIAN, RingState(ring, order).encode())
        addresses = RingAddresses(ring, 0, plan.descriptors, plan.used, plan.available, 0)
        yield from _do(Request.SET_VRING_NUM, RingState(ring, plan.size).encode())
        yield from _do(Request.SET_VRING_BASE, RingState(ring, plan.base).encode())
        yield from _do(Request.SET_VRING_ADDR, addresses.encode())
        yield from _notification(Request.SET_VRING_ERR, ring, None)
        yield from _notification(Request.SET_VRING_CALL, ring, plan.call)
        yield from _notification(Request.SET_VRING_KICK, ring, plan.kick)

    def _enable(self, rings: tuple[int, ...], *, enabled: bool) -> _Procedure:
        for ring in rings:
            yield from _do(Request.SET_VRING_ENABLE, RingState(ring, int(enabled)).encode())
        return outcomes.Enabled(rings, enabled)

    def _stop(self, rings: tuple[int, ...]) -> _Procedure:
        yield from self._enable(rings, enabled=False)
        bases = {}
        for ring in rings:
            reply = yield from _ask(Request.GET_VRING_BASE, RingState(ring, 0).encode())
            answered, base = RingState.decode(reply)
            if answered != ring or (base > 0xFFFF and not has(self.features, RING_PACKED)):
                raise PayloadError(f"index {base} of ring {answered}, asked for ring {ring}")
            bases[ring] = base
        return outcomes.Stopped(bases)

    def _read_config(self, offset: int, size: int) -> _Procedure:
        asked = ConfigPart(offset, 0, bytes(size)).encode()
        reply = yield from _ask(Request.GET_CONFIG, asked)
        if not reply:  # "Virtio device config space": a back-end that cannot says so like this
            raise _RefusalError
        part = ConfigPart.decode(reply)
        if part.offset != offset or len(part.data) != size:
            raise PayloadError(f"{len(part.data)} bytes of configuration at {part.offset}")
        return outcomes.ConfigRead(offset, part.data)

    def _write_config(self, offset: int, data: bytes) -> _Procedure:
        yield from _do(Request.SET_CONFIG, ConfigPart(offset, 0, data).encode())
        return outcomes.ConfigWritten(offset, data)

    def _reset(self) -> _Procedure:
        yield from _do(Request.RESET_DEVICE)
        return outcomes.DeviceReset()


def _acknowledge(procedure: _Procedure) -> _Call:
    return procedure.send(b"")


def _refuse(procedure: _Procedure) -> _Call:
    return procedure.throw(_RefusalError())


def _ask(request: Request, payload: bytes = b"") -> _Asking:
    """Say what has a reply of its own, and return that."""
    return (yield _Call(request, payload, (), replies=True))


def _do(request: Request, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> _Step:
    """Say what is acknowledged, where that was agreed on."""
    yield _Call(request, payload, descriptors, replies=False)


def _notification(request: Request, ring: int, descriptor: int | None) -> _Step:
    if descriptor is None:
        yield from _do(request, messages.encode_u64(ring | messages.RING_NO_DESCRIPTOR))
    else:
        yield from _do(request, messages.encode_u64(ring), (descriptor,))
