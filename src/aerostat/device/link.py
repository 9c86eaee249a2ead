"""The connection to one front-end: its socket, and what each of its requests leads to.

Touches the socket and the back-end's channel; the conversation itself is `aerostat.vhost_user`,
the rings are `aerostat.device.rings`. Whatever a front-end sends, this at most closes its
connection. Standard library only.
"""

import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from aerostat.balloon.abi import Config
from aerostat.device.block_reads import peer_pid
from aerostat.device.guest import Guest
from aerostat.device.loop import READ, WRITE, Loop
from aerostat.device.memory import MappedMemory, MappedRegion
from aerostat.device.named import Descriptors
from aerostat.device.rings import Rings, unblock
from aerostat.errors import PeerError
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.messages import RegionDescription

# One for each queue that the specification knows (virtio 1.2, 5.5.2).
RING_COUNT = 5

# A front-end that asks on and on without reading the answers is given up here.
MAX_UNSENT = 64 * 1024

# The back-end's channel is full: how long until the announcement is tried again.
ANNOUNCE_AGAIN_SECONDS = 0.1

_INT_SIZE = struct.calcsize("i")
# As a plain number: every message is looked at with it.
_TRUNCATED = int(socket.MSG_CTRUNC)
_ANCILLARY_SIZE = socket.CMSG_SPACE(messages.MAX_DESCRIPTORS * _INT_SIZE)


class Link:
    """Serves one front-end until it leaves; then calls `on_closed`."""

    def __init__(
        self, loop: Loop, guest: Guest, connection: socket.socket, on_closed: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._guest = guest
        self._socket = connection
        self._on_closed = on_closed
        self._backend = Backend(
            features=guest.device.features, ring_count=RING_COUNT, config_size=Config.SIZE
        )
        self._rings = Rings(loop, guest, self._backend)
        self._channel: OwnedDescriptor | None = None
        self._announcement_due = False
        self._unsent = b""
        self._blocked = False
        self.closed = False
        connection.setblocking(False)
        loop.watch(connection.fileno(), READ, self._ready)
        guest.come(peer_pid(connection))
        guest.on_config_changed = self._announce
        guest.on_notifications = self._rings.notify

    @property
    def running(self) -> bool:
        """Whether the guest's driver is at work: a ring is ready."""
        return self._backend.running

    def close(self) -> None:
        """End the connection and give back all that it brought."""
        if self.closed:
            return
        self.closed = True
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()
        self._guest.on_config_changed = None
        self._guest.on_notifications = None
        self._rings.close()
        self._backend.close()
        self._drop_channel()
        self._guest.reset()
        self._guest.use_memory(None)
        self._guest.leave()
        self._on_closed()

    # ---- going on in another process

    def rest(self) -> None:
        """Stop the rings, with all that was in hand in them again; `resume` goes on."""
        self._rings.notify()
        self._rings.stop_all()

    def resume(self) -> None:
        """Go on after `rest`, or `restore`."""
        try:
            self._rings.settle_all()
        except PeerError as error:
            self._complain(str(error))
        if self._unsent:
            self._ready()
        if self._announcement_due and not self.closed:
            self._announce()

    def state(self) -> dict[str, Any]:
        """Return what the front-end has said, at `rest`, as values that JSON has."""
        memory = self._guest.memory
        return {
            "conversation": self._backend.state(),
            "unsent": self._unsent.hex(),
            "announcement_due": self._announcement_due,
            "expects_driver": self._rings.expects_driver,
            "memory": None if memory is None else [r.description for r in memory.regions],
            "unfinished": len(self._backend.unfinished),
            "blocks": self._guest.reclaim.state(),
        }

    @property
    def descriptors(self) -> dict[str, int]:
        """All that is open here, by names; it stays ours."""
        owned = dict(self._rings.descriptors)
        if self._channel is not None:
            owned["channel"] = self._channel
        for number, descriptor in enumerate(self._backend.unfinished):
            owned[f"unfinished-{number}"] = descriptor
        regions = {f"memory-{n}": region.region.file for n, region in enumerate(self._regions)}
        numbers = {name: descriptor.fileno() for name, descriptor in owned.items()}
        return {"front-end": self._socket.fileno(), **regions, **numbers}

    def restore(self, state: Mapping[str, Any], descriptors: Descriptors) -> None:
        """Be where another was, by its `state` and `descriptors`; `resume` serves.

        Raises `PeerError` or `OSError` for what cannot be.
        """
        if state["memory"] is not None:
            descriptions = [RegionDescription(*region) for region in state["memory"]]
            files = descriptors.take_numbered("memory", len(descriptions))
            self._guest.use_memory(MappedMemory.map(descriptions, files))
        unfinished = descriptors.take_numbered("unfinished", state["unfinished"])
        self._backend.restore(state["conversation"], unfinished)
        self._guest.reclaim.restore(state["blocks"])
        self._rings.restore(descriptors, expects_driver=state["expects_driver"])
        self._channel = descriptors.take_if_any("channel")
        self._unsent = bytes.fromhex(state["unsent"])
        self._announcement_due = state["announcement_due"]

    # ---- the socket

    def _ready(self) -> None:
        try:
            if self._unsent:
                self._send()
            # Nearly always there is one message, and its sender waits for the answer.
            while not self.closed and self._receive():
                pass
        except ConversationError as error:
            self._guest.counters["broken_conversations"] += 1
            self._guest.log(f"front-end cut off: {error}")
            self.close()
        except ConnectionResetError:
            self.close()  # it hung up without reading its last answer
        except OSError as error:
            self._guest.log(f"front-end lost: {error}")
            self.close()

    def _receive(self) -> bool:
        """Read the next part of a message and act on it; false if the rest has to be waited for.

        A part is its header, or its payload. After a whole message everybody else has a turn.
        """
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                self._backend.bytes_desired(), _ANCILLARY_SIZE, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        self._backend.receive(data, _descriptors(ancillary))
        if flags & _TRUNCATED:
            raise ConversationError("more descriptors than any message may have")
        if not data:
            self.close()
            return False
        while (event := self._backend.next_event()) is not None:
            self._handle(event)
        if answer := self._backend.data_to_send():
            self._unsent += answer
            self._send()
        return self._backend.within_message

    def _send(self) -> None:
        """Send what there is to send, as far as it goes, and the rest when there is room."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                break
            self._unsent = self._unsent[sent:]
        if len(self._unsent) > MAX_UNSENT:
            raise ConversationError("it does not read its answers")
        if self._blocked != bool(self._unsent):
            self._blocked = bool(self._unsent)
            events = READ | WRITE if self._blocked else READ
            self._loop.watch(self._socket.fileno(), events, self._ready)

    # ---- requests

    def _handle(self, event: events.Event) -> None:
        if isinstance(event, events.Refused):
            self._complain(f"request {event.request}: {event.reason}")
        elif isinstance(event, events.ConfigRead):
            self._backend.reply_config(self._guest.device.read_config(event.offset, event.size))
        elif isinstance(event, events.RingStopped):
            self._backend.reply_ring_base(self._rings.end(event.ring))
        else:
            try:
                self._carry_out(event)
            except (PeerError, OSError) as error:
                self._complain(str(error))
                self._backend.refuse()
            else:
                self._backend.accept()

    def _carry_out(self, event: events.Event) -> None:
        match event:
            case events.FeaturesSet(features):
                self._set_features(features)
            case events.MemoryTableSet() | events.RegionAdded() | events.RegionRemoved():
                self._change_memory(event)
            case events.KickSet(ring, descriptor):
                self._rings.set_kick(ring, descriptor)
                self._settle(ring)
            case events.CallSet(ring, descriptor):
                self._rings.set_call(ring, descriptor)
            case events.RingEnabled(ring):
                self._settle(ring)
            case events.ConfigWritten(offset, data):
                self._guest.write_config(offset, data)
            case events.ChannelSet(descriptor):
                self._drop_channel()
                self._channel = descriptor
                unblock(descriptor)
            case events.DeviceReset():
                self._rings.settle_all()
                self._guest.reset()

    def _settle(self, ring: int) -> None:
        self._rings.settle(ring)
        if self._announcement_due:
            self._announce()

    def _set_features(self, features: int) -> None:
        if not self._guest.device.accept(features):
            raise PeerError(f"features {features:#x}")
        self._rings.expect_driver()
        self._rings.settle_all()

    def _change_memory(
        self, event: events.MemoryTableSet | events.RegionAdded | events.RegionRemoved
    ) -> None:
        match event:
            case events.MemoryTableSet(regions, descriptors):
                memory = MappedMemory.map(regions, descriptors)
            case events.RegionAdded(description, descriptor):
                memory = MappedMemory.map([description], [descriptor], beside=self._regions)
            case events.RegionRemoved(description):
                kept = [region for region in self._regions if not region.is_at(description)]
                if len(kept) == len(self._regions):
                    raise PeerError(f"no region at {description.guest_address:#x}")
                memory = MappedMemory(kept)
        self._use_memory(memory)

    @property
    def _regions(self) -> tuple[MappedRegion, ...]:
        memory = self._guest.memory
        return () if memory is None else memory.regions

    def _use_memory(self, memory: MappedMemory) -> None:
        problem = ""
        try:
            self._rings.rebind(memory.guest)
        except PeerError as error:
            problem = str(error)
        # The exception is gone here, and with it the views of memory that its traceback held:
        # memory can only be unmapped when nobody looks at it.
        if problem:
            # Some rings are in the new memory by now, one is in neither: none can run.
            self._rings.stop_all()
            memory.close(keep=self._regions)
            raise PeerError(problem)
        self._guest.use_memory(memory)
        self._rings.settle_all()

    def _complain(self, reason: str) -> None:
        self._guest.counters["refused_requests"] += 1
        self._guest.log(f"refused: {reason}")

    # ---- the back-end's channel

    def _announce(self) -> None:
        """Tell the driver that its configuration has changed, now or as soon as it runs."""
        message = self._backend.config_changed()
        self._announcement_due = message is None
        if message is None or self._channel is None:
            return
        try:
            # write, not send: user-mode Linux's channel is a pipe. So few bytes go whole or not.
            os.write(self._channel.fileno(), message)
        except BlockingIOError:
            self._announcement_due = True
            self._loop.call_later(ANNOUNCE_AGAIN_SECONDS, self._announce_again)
        except OSError as error:
            self._guest.log(f"the front-end's channel is lost: {error}")
            self._drop_channel()

    def _announce_again(self) -> None:
        if self._announcement_due and not self.closed:
            self._announce()

    def _drop_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors among the ancillary data of a message."""
    numbers: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(data) // _INT_SIZE * _INT_SIZE
            numbers += (number for (number,) in struct.iter_unpack("i", data[:whole]))
    return numbers
