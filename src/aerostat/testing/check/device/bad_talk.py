"""The catalogue of bad messages, sent to a device: `conformance.bad_messages`.

After each, the same front-end is served once it behaves again or, where the device has hung up, the
next one; no page has been taken, the target is the host's, and no descriptor is kept.
"""

import contextlib
import os
import select
import time
from collections.abc import Iterator

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import LinkError
from aerostat.testing.check.checks import Check, Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import content
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.socket_transport import WANTED, SocketTransport, socket_of
from aerostat.testing.conformance import bad_messages
from aerostat.testing.conformance.bad_messages import MEMORY_SIZE, MESSAGES, Message
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import FLAG_NEED_REPLY, Header, ProtocolFeature, Request

_HOW = (
    "Send it, as aerostat.testing.conformance.bad_messages has it, {count} in all, while rings run "
    "or when they have ended. The device may refuse it or hang up; then this front-end, or the "
    "next, must be served, with no page taken, the host's target as it was, and no descriptor kept."
)
_GROUPS = {
    "BAD-VU-1": bad_messages.RINGS,
    "BAD-VU-2": bad_messages.MEMORY,
    "BAD-VU-3": bad_messages.CONFIGURATION,
    "BAD-VU-4": bad_messages.FEATURES,
    "BAD-VU-5": bad_messages.FRAMING,
}
_RINGS_AT = 16 * PAGE_SIZE
_RING_SIZE = 8
_PAGE = MEMORY_SIZE // PAGE_SIZE - 1
_KEPT = _PAGE - 1
# How long a device may take to hang up on what is no message, in seconds; some wait for more.
_CUT_SECONDS = 0.5
_LOOK_EVERY = 0.005
_REPLYING = {Request.GET_CONFIG, Request.GET_VRING_BASE}


@contextlib.contextmanager
def _small(machine: Machine) -> Iterator[tuple[Machine, SocketTransport]]:
    """Connect anew, with the memory that the catalogue speaks of."""
    old = socket_of(machine)
    machine.close()
    transport = SocketTransport(
        old.path,
        SharedFile([(0, MEMORY_SIZE)]),
        patience=machine.patience,
        protocol_features=WANTED | 1 << ProtocolFeature.CONFIGURE_MEM_SLOTS,
    )
    with Machine(
        transport,
        machine.deadline,
        patience=machine.patience,
        hush=machine.hush,
        wanted=machine.offered,
        rule=machine.rule,
        rings_at=_RINGS_AT,
    ) as guest:
        yield guest, transport


def _play(machine: Machine, judge: Judge, message: Message) -> None:
    id_ = judge.ids[0]
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with _small(machine) as (guest, transport):
            guest.start(size=_RING_SIZE)
            guest.memory.write(_KEPT * PAGE_SIZE, content(_KEPT))
            target = _target(guest)
            if not message.running:
                guest.reset()
            kinds = {"memory": transport.file.descriptor, "pipe": reader}
            transport.front_end.send_raw(message.data, [kinds[kind] for kind in message.files])
            os.close(reader)
            reader = -1
            if _answered(transport, message):
                _serve_again(guest, judge, id_, target)
            kept = guest.memory.read(_KEPT * PAGE_SIZE, PAGE_SIZE) == content(_KEPT)
            judge.expect(kept, id_, "a page is taken that nobody gave")
        if "pipe" in message.files:
            judge.expect(
                _closed(writer, machine.patience), id_, "a descriptor is kept after the hang-up"
            )
    finally:
        os.close(writer)
        if reader >= 0:
            os.close(reader)


def _target(guest: Machine) -> bytes | None:
    return guest.transport.read_config(0, 4)


def _answered(transport: SocketTransport, message: Message) -> bool:
    """Wait for what comes of a message; return whether the conversation goes on.

    Raises `LinkError` where an answer is due and does not come.
    """
    if message.outcome == "cut" and not _asks(transport, message):
        return not _hangs_up(transport)
    try:
        if _asks(transport, message):
            transport.front_end.receive_reply()
        transport.settle()
    except LinkError as error:
        if error.retryable:
            raise
        return False
    except ConnectionError:
        return False
    return True


def _asks(transport: SocketTransport, message: Message) -> bool:
    """Return whether a message is one, and has to be answered."""
    if message in bad_messages.FRAMING or len(message.data) < messages.HEADER_SIZE:
        return False
    header = Header.decode(message.data[: messages.HEADER_SIZE])
    if header.request in _REPLYING:
        return True
    return bool(header.flags & FLAG_NEED_REPLY) and transport.agreed(ProtocolFeature.REPLY_ACK)


def _hangs_up(transport: SocketTransport) -> bool:
    """Wait until the device hangs up; one that waits for more of it is hung up on."""
    return transport.front_end.hung_up(_CUT_SECONDS)


def _serve_again(guest: Machine, judge: Judge, id_: str, target: bytes | None) -> None:
    """Behave again, and see that pages are taken, and that the target is the host's."""
    try:
        guest.start(size=_RING_SIZE)
        guest.inflate(_PAGE)
        judge.expect(_target(guest) == target, id_, "it moved the target, which is the host's")
    except LinkError as error:
        if error.retryable:
            raise
    except ConnectionError:
        return


def _closed(writer: int, patience: float) -> bool:
    """Return whether nobody reads a pipe any more, or soon."""
    end = time.monotonic() + patience
    watch = select.poll()
    watch.register(writer, select.POLLERR)
    while time.monotonic() < end:
        if any(event & select.POLLERR for _, event in watch.poll(0)):
            return True
        time.sleep(_LOOK_EVERY)
    return False


def _check(message: Message, id_: str, count: int) -> Check[Machine]:
    def play(machine: Machine, judge: Judge) -> None:
        _play(machine, judge, message)

    return Check("bad-messages", (id_,), _HOW.format(count=count), play, parameter=message.name)


def _register() -> None:
    for message in MESSAGES:
        id_ = next(id_ for id_, group in _GROUPS.items() if message in group)
        CHECKS.put(_check(message, id_, len(_GROUPS[id_])))


_register()
