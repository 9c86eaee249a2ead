"""A device's control socket: what its QMP server and its commands make of what a client sends."""

import json
import math
from functools import partial
from typing import Any

from aerostat.device.commands import QOM_PATH, Commands
from aerostat.device.guest import Guest
from aerostat.device.log import Log
from aerostat.qmp.server import CommandError, ServerSession
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import json_values
from aerostat.testing.fuzz.targets.still_loop import StillLoop
from aerostat.units import MIB

_WORDS = (
    *("execute", "arguments", "id", "value", "path", "property", "timeout", "enable", "oob"),
    *("guest-stats", "guest-stats-polling-interval", "type", QOM_PATH, "/machine", "/"),
    *("qmp_capabilities", "query-commands", "query-version", "query-balloon", "balloon"),
    *("qom-get", "qom-set", "qom-list", "query-name", "query-status", "aerostat-sample", "quit"),
)
_SOUND: tuple[dict[str, Any], ...] = (
    {"execute": "qmp_capabilities", "id": 1},
    {"execute": "balloon", "arguments": {"value": 1 << 28}},
    {"execute": "query-balloon", "id": "x"},
    {"execute": "aerostat-sample", "arguments": {"timeout": 0.5}, "id": [1]},
    {"execute": "qom-get", "arguments": {"path": QOM_PATH, "property": "guest-stats"}},
    {
        "execute": "qom-set",
        "arguments": {"path": QOM_PATH, "property": "guest-stats-polling-interval", "value": 3},
    },
    {"execute": "qom-list", "arguments": {"path": QOM_PATH}},
    {"execute": "query-status"},
    {"execute": "query-name"},
    {"execute": "query-commands", "id": None},
    {"execute": "query-version"},
    {"execute": "quit"},
)


def _silent(_message: str) -> None:
    """Say nothing."""


class Client:
    """A client and the device that it talks to."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.loop = StillLoop()
        log = Log("fuzz")
        self.guest = Guest(self.loop, log, size=256 * MIB if source.chance(80) else None)
        self.guest.log = _silent  # type: ignore[assignment]
        self.commands = Commands(
            self.guest,
            name="one" if source.chance(50) else None,
            running=partial(source.chance, 50),
            stop=self.loop.stop,
        )
        self.session = ServerSession(self.commands.names, version=(0, 1, 0), package="aerostat")
        self.answers = 0

    def receive(self, data: bytes) -> None:
        """Have the device read something, and look at what it says."""
        for command in self.session.receive(data):
            try:
                self.commands.run(
                    command.name, command.arguments, partial(self.session.reply, command.id)
                )
            except CommandError as error:
                self.session.fail(command.id, error.error_class, error.description)
        self.read()

    def read(self) -> None:
        """Check what the device has said."""
        for line in self.session.data_to_send().split(b"\r\n")[:-1]:
            message = json.loads(line)
            kinds = message.keys() & {"QMP", "return", "error", "event"}
            assert len(kinds) == 1
            self.answers += "event" not in kinds


def run(case: bytes) -> None:
    """Let a client say things, well formed or not, in any pieces."""
    source = Source(case)
    client = Client(source)
    if source.chance(20):
        for piece in source.cut(source.rest()):
            client.receive(piece)
        return
    said = 1  # the greeting is an answer, too
    while source.left and not client.session.closed:
        message = source.choose(_SOUND)
        if source.chance(60):
            message = json_values.spoil(source, message, _WORDS, 1 + source.below(2))
        data = json_values.text(source, message) + source.choose((b"\n", b"", b"\r\n", b" "))
        said += data.count(b"{") + data.count(b"\n") + data.count(b"[") + data.count(b"}") + 3
        for piece in source.cut(data) if source.chance(20) else [data]:
            client.receive(piece)
        if source.chance(10):
            client.guest.sampler.arrived({source.bits(16): source.bits(64)})
        if source.chance(10):
            client.session.event("BALLOON_CHANGE", client.commands.balloon_change(), 1, 2)
        if source.chance(10):
            client.loop.pass_time()
        client.read()
        assert client.answers <= said
    assert all(0 <= timer.deadline < math.inf for timer in client.loop.timers)
    assert 0 <= client.guest.device.config.num_pages <= client.guest.device.max_pages


_TEXTS = tuple(b"\x00\xff\x80\x00" + json.dumps(message).encode() for message in _SOUND)

TARGET = Target(
    "control",
    "a device's control socket",
    run,
    seeds=lambda: _TEXTS,
    words=tuple(word.encode() for word in _WORDS),
)
