"""The manager's local API: HTTP and JSON on a unix socket.

::

    GET /v1/status                      the manager and its hosts
    GET /v1/snapshot                    everything, as `Snapshot.from_json` reads it
    GET /v1/guests                      all guests
    GET /v1/guests/NAME                 one guest
    GET /v1/guests/NAME/explain         what is done with it, and why, in a sentence
    PUT /v1/guests/NAME/target          {"size": bytes}, or null to let the manager decide
    GET /v1/moves?limit=50              the last moves, newest first

NAME is a guest's name or key, percent-encoded. Sizes are bytes, times seconds, null is unknown;
every answer has ``"schema": 1``, every failure is ``{"error": ...}``. Whoever may open the
socket may do all of it: its owner and group. Touches that socket.
"""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from aerostat import __version__
from aerostat.daemon.manager import Manager
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import SCHEMA, GuestRow, Snapshot
from aerostat.errors import UsageError

log = logging.getLogger(__name__)

# A target is a few bytes; bounds what a client can make the manager hold.
_LARGEST_BODY = 4096
_DEFAULT_MOVES = 50
_SHUTDOWN_LIMIT = 1.0

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Target(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a PUT: the size that a guest is pinned to, or None."""

    size: int | None


class Api:
    """The server. `start` makes the socket, `close` removes it."""

    def __init__(self, manager: Manager, path: Path, mode: int = 0o660) -> None:
        self._manager = manager
        self._path = path
        self._mode = mode
        self._runner: web.AppRunner | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen. Raises `UsageError` where another manager does, or the socket cannot be made."""
        listener = _listen(self._path, self._mode)
        self._inode = self._path.stat().st_ino
        app = web.Application(middlewares=[_errors_as_json], client_max_size=_LARGEST_BODY)
        app.add_routes(
            [
                web.get("/v1/status", self._status),
                web.get("/v1/snapshot", self._whole),
                web.get("/v1/guests", self._guests),
                web.get("/v1/guests/{name}", self._guest),
                web.get("/v1/guests/{name}/explain", self._explain),
                web.put("/v1/guests/{name}/target", self._set_target),
                web.get("/v1/moves", self._moves),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_LIMIT)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        """Stop listening and remove the socket, unless it is another's by now."""
        if self._runner is not None:
            await self._runner.cleanup()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _status(self, _: web.Request) -> web.Response:
        values = self._snapshot().to_json()
        values["guests"] = len(values["guests"])
        return _answer(values | {"version": __version__, "pid": os.getpid()})

    async def _whole(self, _: web.Request) -> web.Response:
        return _answer(self._snapshot().to_json())

    async def _guests(self, _: web.Request) -> web.Response:
        return _answer({"guests": self._snapshot().guests})

    async def _guest(self, request: web.Request) -> web.Response:
        return _answer({"guest": self._find(request)})

    async def _explain(self, request: web.Request) -> web.Response:
        guest = self._find(request)
        sentence = self._manager.explain(guest.key)
        return _answer({"key": guest.key, "name": guest.name, "explanation": sentence})

    async def _set_target(self, request: web.Request) -> web.Response:
        guest = self._find(request)
        try:
            target = msgspec.json.decode(await request.read(), type=Target)
        except msgspec.MsgspecError as error:
            raise UsageError(f'send {{"size": BYTES}} or {{"size": null}}: {error}') from error
        if not self._manager.config.manage:
            return _error(403, "this manager only observes; start it with --manage")
        self._manager.set_target(guest.key, target.size)
        log.info("%s: an operator set it to %s", guest.key, target.size or "auto")
        return _answer({"key": guest.key, "name": guest.name, "size": target.size})

    async def _moves(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", str(_DEFAULT_MOVES))
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise UsageError(f"limit must be a number, not {clean_text(text)!r}")
        newest_first = list(reversed(self._manager.recent_moves))
        return _answer({"moves": newest_first[: int(text)]})

    def _snapshot(self) -> Snapshot:
        if self._manager.snapshot is None:
            raise web.HTTPServiceUnavailable(text="the manager has not finished its first tick")
        return self._manager.snapshot

    def _find(self, request: web.Request) -> GuestRow:
        name = request.match_info["name"]
        found = self._snapshot().find(name)
        if not found:
            raise web.HTTPNotFound(text=f"no such guest: {clean_text(name)}")
        if len(found) > 1:
            raise _AmbiguousError(name, [guest.key for guest in found])
        return found[0]


class _AmbiguousError(Exception):
    """More than one guest has this name."""

    def __init__(self, name: str, keys: list[str]) -> None:
        super().__init__(f"{len(keys)} guests are called {clean_text(name)}; use one of their keys")
        self.keys = keys


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, error.text or error.reason)
    except UsageError as error:
        return _error(400, clean_text(error))
    except _AmbiguousError as error:
        return _error(409, clean_text(error), keys=error.keys)
    except Exception as error:
        log.exception("%s %s", request.method, clean_text(request.path))
        return _error(500, f"a fault in the manager: {type(error).__name__}")


def _answer(values: dict[str, Any], status: int = 200) -> web.Response:
    body = msgspec.json.encode({"schema": SCHEMA, **values})  # NaN would be null, never invalid
    return web.Response(body=body, status=status, content_type="application/json")


def _error(status: int, text: str, **more: object) -> web.Response:
    return _answer({"error": text, **more}, status)


def _listen(path: Path, mode: int) -> socket.socket:
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
        path.chmod(mode)
        listener.listen()
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
