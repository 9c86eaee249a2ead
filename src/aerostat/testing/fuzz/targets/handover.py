"""A device that is to go on in another's place, with a state document that says what it likes.

Touches sockets and a memory file of its own, of one predecessor that stands still.
"""

import atexit
import json
import os
import socket
from typing import Any

from aerostat.device import document
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import Loop
from aerostat.device.named import Descriptors
from aerostat.device.options import Options
from aerostat.device.takeover import _successor
from aerostat.errors import PeerError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files, json_values
from aerostat.testing.fuzz.targets.link import FrontEnd, silent
from aerostat.testing.fuzz.targets.turning import turn
from aerostat.vhost_user.descriptors import OwnedDescriptor

_WORDS = (
    *("format", "version", "options", "listeners", "device", "guest", "link", "descriptors"),
    *("conversation", "setup", "rings", "incoming", "header", "input", "memory", "blocks"),
    *("kick-0", "call-0", "channel", "memory-0", "unfinished-0", "front-end", "socket", "control"),
    *("little", "big", "running", "asked", "ff", "0"),
)


class _Predecessor:
    """A device at rest, and what it would hand over."""

    def __init__(self) -> None:
        loop = Loop()
        self._guest = Guest(loop, Log("fuzz"))
        self._guest.log = silent  # type: ignore[assignment]
        self.front = FrontEnd(Source(bytes(200)), self._guest.device.features)
        link = Link(loop, self._guest, self.front.end, silent)
        self.front.begin()
        turn(loop, 40)
        self.front.work()
        turn(loop, 5)
        link.rest()
        self._listeners = [_listener(name) for name in ("socket", "control")]
        socket_, control = self._listeners
        self.descriptors = link.descriptors | {
            "socket": socket_.fileno(),
            "control": control.fileno(),
        }
        state = {
            "options": Options(socket_.getsockname(), control.getsockname())._asdict(),
            "listeners": {"socket": (1, 2), "control": (1, 3)},
            "device": self._guest.device.state(),
            "guest": self._guest.state(),
            "link": link.state(),
            "descriptors": [*self.descriptors, "process"],
        }
        self.document: Any = json.loads(document.encode(state))
        self._all = loop, link
        atexit.register(self._close)

    def _close(self) -> None:
        loop, link = self._all
        link.close()
        loop.close()
        self.front.close()
        for listener in self._listeners:
            listener.close()


_MADE: list[_Predecessor] = []


def _listener(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(files.directory() / f"handover.{name}"))
    listener.listen(1)
    return listener


def run(case: bytes) -> None:
    """Take over by a document and descriptors that may fit, and serve for a moment."""
    source = Source(case)
    if not _MADE:
        _MADE.append(_Predecessor())
    sound = _MADE[0]
    spoiled = json_values.spoil(source, sound.document, _WORDS, source.below(4))
    state = document.decode(json_values.text(source, spoiled))
    descriptors = _descriptors(source, sound, state)
    try:
        _go_on(state, descriptors)
    finally:
        descriptors.close()
        sound.front.send_raw(b"", [])  # reads what was answered


def _descriptors(source: Source, sound: _Predecessor, state: dict[str, Any]) -> Descriptors:
    """Return descriptors of the names that a document has, mostly those that they should be."""
    names = state["descriptors"]
    owned = [
        OwnedDescriptor(os.dup(sound.descriptors.get(name, 2)))
        if not source.chance(2)
        else OwnedDescriptor(os.dup(source.choose(sorted(sound.descriptors.values()))))
        for name in names
    ]
    try:
        return Descriptors.named(names, owned)
    except PeerError:
        for descriptor in owned:
            descriptor.close()
        raise


def _go_on(state: dict[str, Any], descriptors: Descriptors) -> None:
    server = _successor(state, descriptors)
    guest, loop = server._guest, server._loop  # noqa: SLF001 - to look at what nobody else sees
    server._log = guest.log = silent  # type: ignore[assignment]  # noqa: SLF001
    try:
        server.go_on(state, descriptors)
        link = server._link  # noqa: SLF001
        if link is not None:
            link.resume()
            turn(loop, 4)
        assert 0 <= guest.device.balloon_size <= guest.device.max_pages * 4096
        assert document.decode(document.encode({**server._state(), "descriptors": []}))  # noqa: SLF001
    finally:
        server.abandon()


TARGET = Target("handover", "what a device is told that goes on in another's place", run)
