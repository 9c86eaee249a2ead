"""Faults in how a device speaks vhost-user, and in what it does with memory and descriptors."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

import os
import socket
from typing import Any

from aerostat.device.link import Link
from aerostat.device.memory import MappedRegion
from aerostat.device.rings import Rings
from aerostat.errors import PeerError
from aerostat.testing.check.device.faults.terms import fault, replace
from aerostat.vhost_user import messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.framing import ConversationError, Incoming
from aerostat.vhost_user.messages import ConfigPart, ProtocolFeature, Request
from aerostat.vhost_user.setup import RefusalError


@fault("VU-DEV-1")
def unknown_requests_succeed() -> None:
    replace(Backend, "refuse", lambda _: lambda self: self.accept())


@fault("VU-DEV-1", "BAD-VU-1", "BAD-VU-4")
def failures_are_not_answered() -> None:
    def silent(_: Any) -> Any:
        def refusing(self: Backend) -> None:
            self._open = None

        return refusing

    replace(Backend, "refuse", silent)


@fault("VU-DEV-1", "VU-DEV-2")
def an_answer_is_given_that_nobody_asked_for() -> None:
    def always(acknowledge: Any) -> Any:
        def acknowledging(self: Backend, status: int) -> None:
            open_ = self._open
            assert open_ is not None
            if self.has(ProtocolFeature.REPLY_ACK) and open_.request == Request.SET_OWNER:
                self._open = open_._replace(flags=open_.flags | messages.FLAG_NEED_REPLY)
            acknowledge(self, status)

        return acknowledging

    replace(Backend, "_acknowledge", always)


@fault("VU-DEV-2")
def messages_must_come_whole() -> None:
    def whole(receive: Any) -> Any:
        def receiving(self: Link) -> bool:
            more: bool = receive(self)
            if not self.closed and self._backend.within_message and not _waits(self):
                self.close()
                return False
            return more

        return receiving

    replace(Link, "_receive", whole)


def _waits(link: Link) -> bool:
    """Return whether more of a message is there already."""
    try:
        return bool(link._socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@fault("VU-DEV-7")
def all_of_the_configuration_is_answered() -> None:
    def whole(reply: Any) -> Any:
        def replying(self: Backend, data: bytes) -> None:
            reply(self, data.ljust(self.config_size, b"\0"))

        return replying

    replace(Backend, "reply_config", whole)


@fault("VU-DEV-8", "USE-DEV-4")
def only_the_whole_configuration_can_be_written() -> None:
    def strict(write: Any) -> Any:
        def writing(self: Backend, payload: bytes) -> Any:
            if len(ConfigPart.decode(payload).data) != self.config_size:
                raise RefusalError("not all of it")
            return write(self, payload)

        return writing

    _handle(Request.SET_CONFIG, strict)


@fault("VU-DEV-8")
def flags_forbid_to_write() -> None:
    def strict(write: Any) -> Any:
        def writing(self: Backend, payload: bytes) -> Any:
            if ConfigPart.decode(payload).flags not in (0, 1):
                raise RefusalError("unknown flags")
            return write(self, payload)

        return writing

    _handle(Request.SET_CONFIG, strict)


def _handle(request: Request, make: Any) -> None:
    """Replace the handler of a request."""
    Backend._HANDLERS[request] = make(Backend._HANDLERS[request])


@fault("VU-DEV-10")
def a_table_is_taken_once() -> None:
    def once(use: Any) -> Any:
        def using(self: Link, memory: Any) -> None:
            if self._rings._queues:
                memory.close(keep=self._regions)
                raise PeerError("rings are running")
            use(self, memory)

        return using

    replace(Link, "_use_memory", once)


@fault("VU-DEV-11")
def memory_is_never_let_go_of() -> None:
    kept: list[Any] = []

    def keep(init: Any) -> Any:
        def making(self: MappedRegion, *rest: Any) -> None:
            init(self, *rest)
            kept.append(memoryview(self._mapping))

        return making

    def closing(self: MappedRegion) -> None:
        self.region.view.release()
        self._descriptor.close()

    replace(MappedRegion, "__init__", keep)
    replace(MappedRegion, "close", lambda _: closing)


@fault("BAD-VU-1", "BAD-VU-4", "BAD-VU-2")
def refused_descriptors_are_kept() -> None:
    kept: list[Any] = []

    def keeping(self: Incoming) -> None:
        kept.extend(self.descriptors)
        self.descriptors.clear()

    replace(Incoming, "drop_descriptors", lambda _: keeping)


@fault("VU-DEV-12", "VQ-DEV-5")
def the_first_call_is_kept() -> None:
    def first(set_call: Any) -> Any:
        def setting(self: Rings, index: int, descriptor: Any) -> None:
            if index in self._queues and descriptor is not None:
                descriptor.close()
            else:
                set_call(self, index, descriptor)

        return setting

    replace(Rings, "set_call", first)


@fault("VU-DEV-13")
def the_configuration_is_announced_at_once() -> None:
    def announcing(_: Backend) -> bytes:
        return messages.encode(messages.BackendRequest.CONFIG_CHANGE_MSG)

    def at_once(change: Any) -> Any:
        def changing(self: Link, event: Any) -> None:
            change(self, event)
            self._announce()

        return changing

    replace(Backend, "config_changed", lambda _: announcing)
    replace(Link, "_change_memory", at_once)


@fault("BAD-VU-5")
def a_wrong_version_ends_it() -> None:
    def dying(ready: Any) -> Any:
        def reading(self: Link) -> None:
            try:
                while not self.closed and self._receive():
                    pass
            except ConversationError:
                os.abort()
            except OSError:
                self.close()

        del ready
        return reading

    replace(Link, "_ready", dying)


@fault("BAD-VU-2")
def memory_is_not_looked_at() -> None:
    """As a device that maps whatever comes, and dies of what cannot be mapped."""

    def dying(init: Any) -> Any:
        def making(self: MappedRegion, *rest: Any) -> None:
            try:
                init(self, *rest)
            except PeerError:
                os.abort()

        return making

    replace(MappedRegion, "__init__", dying)


@fault("BAD-VU-3")
def configuration_beyond_the_end_ends_it() -> None:
    def dying(check: Any) -> Any:
        def checking(self: Backend, part: ConfigPart) -> None:
            if part.offset > 1 << 30:
                os.abort()
            check(self, part)

        return checking

    replace(Backend, "_check_config", dying)
