"""The manager's local API: HTTP and JSON on a unix socket. `api_routes` says what may be asked.

NAME is a guest's name, UUID or key, percent-encoded. Sizes are bytes, times seconds, null is
unknown; every answer has ``"schema": 1``, every failure is ``{"error": ...}`` and says what would
be right. Who may open the socket may look; who may change anything is for `api_peers` to tell.
Bodies, connections and the time that they last are bounded. Touches that socket.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from aerostat.daemon.api.handlers import AmbiguousError, Exposition, Handlers, failure
from aerostat.daemon.api.peers import CONNECTION_LIMIT, Door, Rights, peer_of
from aerostat.daemon.api.routes import ROUTES
from aerostat.daemon.manager import Manager
from aerostat.daemon.names import clean_text
from aerostat.errors import AerostatError, UsageError

log = logging.getLogger(__name__)

# A request is a few bytes; bounds what a client can make the manager hold.
_LARGEST_BODY = 4096
_SHUTDOWN_LIMIT = 1.0
_BACKLOG = 128

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The server. `start` makes the socket, `close` removes it.

    `group` is that of the socket; its members may change things. `metrics` writes what
    ``GET /metrics`` gives. A connection lasts `connection_limit` seconds at most.
    """

    def __init__(
        self,
        manager: Manager,
        path: Path,
        mode: int = 0o660,
        *,
        group: str | None = None,
        metrics: Exposition | None = None,
        connection_limit: float = CONNECTION_LIMIT,
    ) -> None:
        self._path = path
        self._mode = mode
        self._group = group
        self._limit = connection_limit
        self._handlers = Handlers(manager, metrics)
        self._rights = Rights(frozenset())
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen. Raises `UsageError` where another manager does, or the socket cannot be made."""
        self._rights = Rights.of_group(self._group)
        listener = _listen(self._path, self._mode, self._group)
        self._inode = self._path.stat().st_ino
        app = web.Application(
            middlewares=[_errors_as_json, self._only_permitted], client_max_size=_LARGEST_BODY
        )
        for route in ROUTES:
            app.router.add_route(route.verb, route.path, getattr(self._handlers, route.action))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_LIMIT)
        await runner.setup()
        assert runner.server is not None  # it is made by `setup`
        door = Door(runner.server, self._rights, self._limit)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(door, sock=listener, backlog=_BACKLOG)
        self._runner = runner

    async def close(self) -> None:
        """Stop listening and remove the socket, unless it is another's by now."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    @web.middleware
    async def _only_permitted(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD") and not self._may_change(request):
            raise web.HTTPForbidden(text="you may look, and not change anything: " + self._who())
        return await handler(request)

    def _may_change(self, request: web.Request) -> bool:
        if request.transport is None:  # it has hung up meanwhile
            return False
        return self._rights.may_change(peer_of(request.transport.get_extra_info("socket")))

    def _who(self) -> str:
        if self._group is None:
            return "that is for root and the manager's own user; [api] group can name a group"
        return f"that is for root, the manager's own user and the group {self._group}"


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return failure(error.status, clean_text(error.text or error.reason))
    except AmbiguousError as error:
        return failure(409, clean_text(error), tuple(error.keys))
    except AerostatError as error:
        return failure(400, clean_text(error))
    except Exception as error:
        log.exception("%s %s", request.method, clean_text(request.path))
        return failure(500, f"a fault in the manager: {type(error).__name__}")


def _listen(path: Path, mode: int, group: str | None) -> socket.socket:
    """Return a listening socket at `path` that only those in `mode` can open."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        # Nobody else can connect between bind and chmod.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if group is not None:
            shutil.chown(path, group=group)
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"{path}: no API socket can be made: {error}") from error
    except UsageError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed manager left at `path`; refuse where one lives."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise UsageError(f"{path} is in the way, and no socket; choose another [api] socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # it is listening, and busy
    raise UsageError(f"another manager listens on {path}; stop it, or choose another [api] socket")
