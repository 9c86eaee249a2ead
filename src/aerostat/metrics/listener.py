"""Serves metrics on a TCP port: ``GET /metrics``, nothing else, no change to anything.

Whoever reaches the port is not trusted: requests without bodies, few connections at a time, and
none kept that says nothing. Touches that port.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from aerostat.errors import UsageError
from aerostat.metrics.service import Answer

log = logging.getLogger(__name__)

# A Prometheus keeps one; a hostile peer must not take the descriptors that guests need.
_MOST_CONNECTIONS = 32
_KEPT_ALIVE = 75.0
_SHUTDOWN_LIMIT = 1.0
_FRONT = """\
<!doctype html><title>aerostat</title><h1>aerostat</h1><p><a href="/metrics">Metrics</a></p>
"""


class Listener:
    """The server; `start` makes it listen, `close` ends it.

    `answer` is given an Accept header. Port 0 takes a free one; `port` says which.
    """

    def __init__(self, answer: Callable[[str], Awaitable[Answer]], host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._answer = answer
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises `UsageError` where that cannot be done."""
        app = web.Application(client_max_size=1)
        app.add_routes([web.get("/metrics", self._metrics), web.get("/", _front)])
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=_KEPT_ALIVE,
            shutdown_timeout=_SHUTDOWN_LIMIT,
        )
        await runner.setup()
        server = runner.server
        assert server is not None  # it is made by `setup`

        def protocol() -> asyncio.BaseProtocol:
            return server() if len(server.connections) < _MOST_CONNECTIONS else _Refusal()

        try:
            self._listening = await asyncio.get_running_loop().create_server(
                protocol, self.host, self.port
            )
        except OSError as error:
            await runner.cleanup()
            where = f"{self.host}:{self.port}"
            raise UsageError(f"metrics cannot be served on {where}: {error.strerror}") from error
        self._runner = runner
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            answer = await self._answer(",".join(request.headers.getall("Accept", [])))
        except Exception:
            log.exception("no metrics")
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return web.Response(body=answer.body, headers={"Content-Type": answer.content_type})


class _Refusal(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _front(_: web.Request) -> web.Response:
    return web.Response(text=_FRONT, content_type="text/html")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:9178``, ``[::1]:9178`` or ``localhost:9178``.

    Raises `UsageError`. A host is never left out: to be seen from everywhere is for saying.
    """
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # of an IPv6 address, not before a port
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        raise UsageError(f'write it as "HOST:PORT", such as "127.0.0.1:9178", not {text!r}')
    return host, int(port)
