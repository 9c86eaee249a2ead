"""The manager's local API, to a client that sends what it likes.

Touches a socket, on which one manager of guests in memory serves all cases; what it was ordered is
forgotten after each.
"""

import asyncio
import atexit
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aerostat.daemon.api.routes import ROUTES
from aerostat.daemon.api.server import Api
from aerostat.daemon.orders import Orders
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files, json_values
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

_NAMES = ("one", "web/1 \u00e9", "twin", "nobody", "..", "%", "a" * 300)
_WORDS = ("size", "note", "name", "lease", "one", "twin", "three", "dry_run", "limit")
_BODIES: tuple[Mapping[str, Any], ...] = (
    {"size": 256 * MIB},
    {"note": "why"},
    {"name": "three", "size": 256 * MIB, "lease": 60.0},
    {"lease": 60.0},
    {},
)
_QUERIES = ("", "?dry_run=true", "?dry_run=maybe", "?limit=5", "?limit=-1", "?limit=" + "9" * 20)
_HEADERS = (
    b"Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=nan\r\n",
    b"Expect: 100-continue\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Cookie: " + b"x" * 9000 + b"\r\n",
    b"Range: bytes=0-1\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
)
_PATIENCE = 20.0
_LONGEST_ANSWER = 1 << 22


class _Served:
    """A manager, its API, and the loop on which both live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.path = files.directory() / "api.sock"
        self.house = House(VirtualClock())
        self.api: Api
        self.loop.run_until_complete(self._start())
        atexit.register(self.loop.close)

    async def _start(self) -> None:
        for name in ("one", "web/1 \u00e9", "twin"):
            self.house.add(name).uses(300 * MIB)
        other = self.house.add("other-twin")
        other.uses(300 * MIB)
        other.name = "twin"
        manager = await self.house.start()
        await self.house.clock.advance(2)
        self.api = Api(manager, self.path, connection_limit=1e6)
        await self.api.start()

    async def ask(self, request: bytes, ticks: int) -> bytes:
        """Return all that is answered to a request, after some ticks."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            writer.write(request)
            writer.write_eof()
            async with asyncio.timeout(_PATIENCE):
                answer = await reader.read(_LONGEST_ANSWER)
                while part := await reader.read(_LONGEST_ANSWER):
                    answer += part
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        if ticks:
            await self.house.clock.advance(ticks)
        return answer

    def forget(self) -> None:
        """Forget what was ordered."""
        self.house.manager._ticker.orders = Orders()  # noqa: SLF001 - each case begins anew
        self.house.shown.clear()
        self.house.moves.clear()


_SERVED: list[_Served] = []


def run(case: bytes) -> None:
    """Send a request or two; none is a fault of the manager's."""
    source = Source(case)
    if not _SERVED:
        _SERVED.append(_Served())
    served = _SERVED[0]
    try:
        for _ in range(1 + source.below(3)):
            request = _request(source)
            ticks = 1 if source.chance(10) else 0
            _check(served.loop.run_until_complete(served.ask(request, ticks)))
    finally:
        served.forget()


def _request(source: Source) -> bytes:
    if source.chance(5):
        return source.blob(200)
    route = source.choose(ROUTES)
    path = route.path.replace("{name}", quote(source.choose(_NAMES), safe=""))
    verb = route.verb if source.chance(90) else source.choose(("PATCH", "HEAD", "OPTIONS", "G T"))
    whole: Any = source.choose(_BODIES)
    if source.chance(60):
        whole = json_values.spoil(source, whole, _WORDS, 1 + source.below(2))
    body = json_values.text(source, whole)
    if source.chance(3):
        body *= 400
    head = f"{verb} {path}{source.choose(_QUERIES)} HTTP/1.1\r\nHost: x\r\n".encode()
    if source.chance(20):
        head += source.choose(_HEADERS)
    length = source.near(len(body), 32)
    head += b"Content-Length: %d\r\nConnection: close\r\n\r\n" % length
    data = bytearray(head + body)
    if source.chance(10):
        at = source.below(len(data))
        data[at : at + source.below(5)] = source.blob(5)
    return bytes(data)


def _check(answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1."):
        assert not answer
        return
    status = int(answer.split(None, 2)[1])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status != 500, body.decode(errors="replace")
    kind = head.lower().partition(b"content-type: ")[2]
    if kind.startswith(b"application/json") and body and b"chunked" not in head:
        assert isinstance(json.loads(body), dict)


TARGET = Target("api", "the manager's local API", run)
