"""A process guest's console: requests and answers, one JSON object a line, over a socket.

The laboratory's guests all speak so (`aerostat.testing.guests.console` is the other end): a guest
says ``{"hello": ...}`` when it is up, is asked ``{"id", "do", ...}``, and answers
``{"id", "result"}`` or ``{"id", "error"}``. Touches the socket. Standard library only.
"""

import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from aerostat.device.loop import READ, Loop

Obey = Callable[[dict[str, Any]], Mapping[str, Any] | None]

# Bounds what a line without an end makes us keep.
_LONGEST_LINE = 1 << 20


class Console:
    """The guest's end of `link`; `obey` carries requests out, `gone` hears that nobody is there."""

    def __init__(
        self, loop: Loop, link: socket.socket, obey: Obey, gone: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._link = link
        self._obey = obey
        self._gone = gone
        self._partial = b""
        self._greeted = False
        loop.watch(link.fileno(), READ, self._ready)

    def hello(self, message: Mapping[str, Any]) -> None:
        """Say that the guest is up; only the first time."""
        if not self._greeted:
            self._greeted = True
            self._write({"hello": message})

    def close(self) -> None:
        """Hang up."""
        self._loop.unwatch(self._link.fileno())
        self._link.close()

    def _ready(self) -> None:
        try:
            data = self._link.recv(65536)
        except OSError:
            data = b""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._answer(line)
        if not data or len(self._partial) > _LONGEST_LINE:
            self._loop.unwatch(self._link.fileno())
            self._gone()

    def _answer(self, line: bytes) -> None:
        number = None
        try:
            request = json.loads(line)
            number = request.pop("id")
            answer: dict[str, Any] = {"id": number, "result": self._obey(request)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the laboratory is told
            answer = {"id": number, "error": str(error) or repr(error)}
        self._write(answer)

    def _write(self, message: Mapping[str, Any]) -> None:
        # Whoever does not read what it asked for is gone, and `_ready` will see it.
        with contextlib.suppress(OSError):
            self._link.sendall(json.dumps(message).encode() + b"\n")
