"""Checks of the conversation itself: answers, pieces of messages, calls and kicks (vhost-user)."""

import time

from aerostat.balloon.abi import Queue
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import establish
from aerostat.testing.check.device.socket_transport import socket_of
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import ConfigPart, ProtocolFeature, Request

_UNKNOWN = 1000
_SPACE = 16
_FIELD = 4


@CHECKS.add("VU-DEV-1")
def answers_are_given_where_they_are_due(machine: Machine, judge: Judge) -> None:
    """Ask for features twice, for an answer to what succeeds, and to a request that there is not.

    With REPLY_ACK, the last must be answered by other than 0; what asks for none must have none.
    """
    transport = socket_of(machine)
    front_end = transport.front_end
    once, again = (front_end.ask(Request.GET_FEATURES) for _ in range(2))
    judge.expect(once == again, "VU-DEV-1", f"the features are {once.hex()}, then {again.hex()}")
    if not transport.agreed(ProtocolFeature.REPLY_ACK):
        judge.unobservable("VU-DEV-1", "the device gives no answers (REPLY_ACK)")
        return
    owned = front_end.request(Request.SET_OWNER)
    judge.expect(owned, "VU-DEV-1", "SET_OWNER is answered with a failure")
    unknown = front_end.request(_UNKNOWN)
    judge.expect(not unknown, "VU-DEV-1", f"request {_UNKNOWN} is answered with success")
    # What asks for nothing: its answer would be taken for the next one's.
    front_end.send_raw(messages.encode(Request.SET_OWNER))
    front_end.ask(Request.GET_FEATURES)


@CHECKS.add("VU-DEV-2")
def messages_come_in_pieces(machine: Machine, judge: Judge) -> None:
    """Send a message byte by byte, one in two parts, and several at once."""
    front_end = socket_of(machine).front_end
    message = messages.encode(Request.GET_FEATURES)
    wanted = front_end.ask(Request.GET_FEATURES)
    pieces: list[list[bytes]] = [
        [message[at : at + 1] for at in range(len(message))],
        [message[:7], message[7:]],
        [message * 3],
        [message + message[:5], message[5:]],
    ]
    for sent in pieces:
        for piece in sent:
            front_end.send_raw(piece)
            time.sleep(0.001)  # so that it is read by itself
        for _ in range(sum(map(len, sent)) // len(message)):
            request, payload = front_end.receive_reply()
            judge.expect(
                (request, payload) == (Request.GET_FEATURES, wanted),
                "VU-DEV-2",
                f"{payload.hex()} is the answer to request {request}",
            )


@CHECKS.add("VU-DEV-7")
def the_configuration_is_answered_as_asked(machine: Machine, judge: Judge) -> None:
    """Ask for the configuration whole, for each field, and for what is beyond its end."""
    transport = socket_of(machine)
    if not transport.agreed(ProtocolFeature.CONFIG):
        judge.violated("VU-DEV-7", "the device does not offer CONFIG, and has a configuration")
        return
    spans = [(0, 2 * _FIELD), *((at, _FIELD) for at in range(0, 2 * _FIELD, _FIELD)), (5, 1)]
    for offset, size in spans:
        reply = transport.front_end.ask(
            Request.GET_CONFIG, ConfigPart(offset, 0, bytes(size)).encode()
        )
        if not judge.expect(
            len(reply) == messages.CONFIG_HEAD_SIZE + size,
            "VU-DEV-7",
            f"{len(reply)} bytes answer the question for {size} at {offset}",
        ):
            continue
        part = ConfigPart.decode(reply)
        judge.expect(
            part.offset == offset, "VU-DEV-7", f"offset {part.offset} answers one of {offset}"
        )
    beyond = ConfigPart(1 << 16, 0, bytes(_FIELD)).encode()
    reply = transport.front_end.ask(Request.GET_CONFIG, beyond)
    size = max(0, len(reply) - messages.CONFIG_HEAD_SIZE)
    judge.expect(size in (0, _FIELD), "VU-DEV-7", f"{size} bytes answer what is beyond all")


@CHECKS.add("VU-DEV-8", "USE-DEV-3")
def the_configuration_is_written_in_any_part(machine: Machine, judge: Judge) -> None:
    """Write actual alone, in the whole space, and with every flag that front-ends send.

    It must read as written, and num_pages as before.
    """
    transport = socket_of(machine)
    machine.start()
    before = machine.word(0)
    for number, flags in enumerate((0, 1, 2, 0), 1):
        for whole in (False, True):
            value = (number * 2 + whole).to_bytes(_FIELD, "little")
            space = (before ^ 0xFFFF).to_bytes(_FIELD, "little") + value
            space += bytes(_SPACE - len(space)) if machine.has("PAGE_POISON") else b""
            part = ConfigPart(0, flags, space) if whole else ConfigPart(_FIELD, flags, value)
            transport.tell(Request.SET_CONFIG, part.encode())
            read = transport.read_config(_FIELD, _FIELD)
            how = "with the whole space" if whole else "alone"
            judge.expect(
                read == value,
                "VU-DEV-8",
                f"actual reads {read.hex()}; {value.hex()} was written {how}, flags {flags}",
            )
            target = machine.word(0)
            judge.expect(
                target == before, "USE-DEV-3", f"a front-end's write made num_pages {target:#x}"
            )


@CHECKS.add("VU-DEV-12")
def calls_and_kicks_may_change(machine: Machine, judge: Judge) -> None:
    """Take a ring's call away and give it another, and another kick, while it runs."""
    transport = socket_of(machine)
    machine.start()
    establish(machine)
    page, lane = machine.pages[1][0], machine.lanes[Queue.INFLATE]
    nowhere = messages.encode_u64(lane.index | messages.RING_NO_DESCRIPTOR)
    transport.tell(Request.SET_VRING_CALL, nowhere)
    machine.inflate(page)
    transport.front_end.renew_notifications(lane.index)
    lane.send(machine.pfns(page))
    judge.expect(
        lane.called(machine.patience), "VU-DEV-12", "a call that came while the ring ran is unused"
    )
    lane.wait()
