"""What is done for each request of the API. Touches the manager, and nothing else.

A handler has the name of its route's action. It raises `UsageError` for what was asked wrongly.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import msgspec
from aiohttp import web

from aerostat import __version__
from aerostat.daemon.api import answers
from aerostat.daemon.api.description import description
from aerostat.daemon.api.routes import DEFAULT_MOVES, MOST_MOVES
from aerostat.daemon.manager import Manager
from aerostat.daemon.names import clean_text
from aerostat.daemon.snapshot import GuestRow, ReservationRow, Snapshot
from aerostat.errors import UsageError

log = logging.getLogger(__name__)

Exposition = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From an Accept header to the metrics and their content type."""

_Body = TypeVar("_Body", bound=answers.Body)


class AmbiguousError(Exception):
    """More than one guest has this name; `keys` are theirs."""

    def __init__(self, name: str, keys: list[str]) -> None:
        super().__init__(f"{len(keys)} guests are called {clean_text(name)}; use one of their keys")
        self.keys = keys


class Handlers:
    """The handlers of one manager; `metrics` writes its metrics, if somebody supplies that."""

    def __init__(self, manager: Manager, metrics: Exposition | None) -> None:
        self._manager = manager
        self._metrics = metrics
        self._encoded: tuple[Snapshot, bytes] | None = None
        # One at a time: whoever may only look must not be able to crowd a guest's monitor.
        self._examining = asyncio.Lock()

    async def status(self, _: web.Request) -> web.Response:
        """Answer without the guests' rows."""
        snapshot = self._snapshot()
        values = replace(snapshot, guests=()).to_json()
        values |= {"guests": len(snapshot.guests), "version": __version__, "pid": os.getpid()}
        return web.Response(body=msgspec.json.encode(values), content_type="application/json")

    async def snapshot(self, _: web.Request) -> web.Response:
        """Answer with everything, written once a tick however many ask."""
        snapshot = self._snapshot()
        if self._encoded is None or self._encoded[0] is not snapshot:
            self._encoded = snapshot, msgspec.json.encode(snapshot.to_json())
        return web.Response(body=self._encoded[1], content_type="application/json")

    async def guests(self, _: web.Request) -> web.Response:
        """Answer with all guests."""
        snapshot = self._snapshot()
        return answer(answers.Guests(wall=snapshot.wall, guests=tuple(snapshot.guests)))

    async def guest(self, request: web.Request) -> web.Response:
        """Answer with one guest."""
        guest = self._find(request)
        return answer(answers.Guest(wall=self._snapshot().wall, guest=guest))

    async def explain(self, request: web.Request) -> web.Response:
        """Answer in words and in figures."""
        guest = self._find(request)
        return answer(
            answers.Explanation(
                key=guest.key,
                name=guest.name,
                explanation=self._manager.explain(guest.key),
                values=self._manager.explain_values(guest.key),
            )
        )

    async def examine(self, request: web.Request) -> web.Response:
        """Ask the guest's hypervisor."""
        guest = self._find(request)
        async with self._examining:
            examination = await self._manager.examine(guest.key)
        return answer(answers.Examined(key=guest.key, name=guest.name, examination=examination))

    async def set_target(self, request: web.Request) -> web.Response:
        """Pin a guest to a size, or unpin it."""
        guest = self._find(request)
        target = await _body(request, answers.Target, 'send {"size": BYTES} or {"size": null}')
        self._check_managing()
        tried = _dry_run(request)
        self._manager.set_target(guest.key, target.size, dry_run=tried)
        if not tried:
            log.info("%s: an operator set it to %s", guest.key, target.size or "auto")
        return answer(
            answers.Pinned(key=guest.key, name=guest.name, size=target.size, dry_run=tried)
        )

    async def hold(self, request: web.Request) -> web.Response:
        """Have a guest left alone."""
        guest = self._find(request)
        hold = await _body(request, answers.Hold, 'send {} or {"note": WHY}')
        tried = _dry_run(request)
        self._manager.hold(guest.key, hold.note, dry_run=tried)
        return answer(answers.Held(key=guest.key, name=guest.name, held=True, dry_run=tried))

    async def resume(self, request: web.Request) -> web.Response:
        """Have a guest managed again."""
        guest = self._find(request)
        tried = _dry_run(request)
        self._manager.resume(guest.key, dry_run=tried)
        return answer(answers.Held(key=guest.key, name=guest.name, held=False, dry_run=tried))

    async def release_guest(self, request: web.Request) -> web.Response:
        """Give a guest memory back."""
        return self._release(self._find(request).key, tried=_dry_run(request))

    async def release(self, request: web.Request) -> web.Response:
        """Give all guests memory back."""
        return self._release(None, tried=_dry_run(request))

    async def reservations(self, _: web.Request) -> web.Response:
        """Answer with all reservations."""
        return answer(answers.Reservations(reservations=self._manager.reservations))

    async def reserve(self, request: web.Request) -> web.Response:
        """Keep room for a guest."""
        claim = await _body(
            request, answers.Claim, 'send {"name": NAME, "size": BYTES, "lease": SECONDS}'
        )
        tried = _dry_run(request)
        self._manager.reserve(claim.name, claim.size, claim.lease, dry_run=tried)
        row = self._reservation(claim.name)
        if tried or row is None:
            row = ReservationRow(claim.name, claim.size, claim.lease, backed=False)
        return answer(answers.Reserved(reservation=row, dry_run=tried))

    async def renew(self, request: web.Request) -> web.Response:
        """Have a reservation last longer."""
        row = self._find_reservation(request)
        renewal = await _body(request, answers.Renewal, 'send {"lease": SECONDS}')
        tried = _dry_run(request)
        self._manager.renew(row.name, renewal.lease, dry_run=tried)
        row = replace(self._reservation(row.name) or row, left=renewal.lease)
        return answer(answers.Reserved(reservation=row, dry_run=tried))

    async def cancel(self, request: web.Request) -> web.Response:
        """End a reservation."""
        row = self._find_reservation(request)
        tried = _dry_run(request)
        self._manager.cancel(row.name, dry_run=tried)
        return answer(answers.Cancelled(name=row.name, dry_run=tried))

    async def moves(self, request: web.Request) -> web.Response:
        """Answer with the last moves."""
        text = request.query.get("limit", str(DEFAULT_MOVES))
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise UsageError(f"limit must be a number, not {clean_text(text)!r}")
        newest_first = tuple(reversed(self._manager.recent_moves))
        return answer(answers.Moves(moves=newest_first[: min(int(text), MOST_MOVES)]))

    async def reload(self, _: web.Request) -> web.Response:
        """Read the configuration again; what of it waits for the next start is a problem."""
        await self._manager.reload()
        return answer(answers.Reloaded(problem=self._manager.config_problem or None))

    async def openapi(self, _: web.Request) -> web.Response:
        """Describe the API."""
        body = msgspec.json.encode(description())
        return web.Response(body=body, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a Prometheus."""
        if self._metrics is None:
            raise web.HTTPNotFound(text="this manager exports no metrics")
        body, kind = await self._metrics(",".join(request.headers.getall("Accept", [])))
        return web.Response(body=body, headers={"Content-Type": kind})

    def _release(self, key: str | None, *, tried: bool) -> web.Response:
        self._check_managing()
        keys = self._manager.release_guest(key, dry_run=tried)
        return answer(answers.Released(keys=tuple(keys), dry_run=tried))

    def _check_managing(self) -> None:
        if not self._manager.config.manage:
            raise web.HTTPConflict(text="this manager only observes; start it with --manage")

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
            raise AmbiguousError(name, [guest.key for guest in found])
        return found[0]

    def _reservation(self, name: str) -> ReservationRow | None:
        return next((row for row in self._manager.reservations if row.name == name), None)

    def _find_reservation(self, request: web.Request) -> ReservationRow:
        name = request.match_info["name"]
        row = self._reservation(name)
        if row is None:
            raise web.HTTPNotFound(text=f"nothing is reserved for {clean_text(name)}")
        return row


async def _body(request: web.Request, kind: type[_Body], right: str) -> _Body:
    """Return the body of a request; `right` says what it should have been."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{right}: {clean_text(error)}") from error


def _dry_run(request: web.Request) -> bool:
    text = request.query.get("dry_run", "false")
    if text not in ("true", "false"):
        raise UsageError(f"dry_run is true or false, not {clean_text(text)!r}")
    return text == "true"


def answer(values: msgspec.Struct, status: int = 200) -> web.Response:
    """Return `values` as JSON; NaN would be null, never invalid."""
    body = msgspec.json.encode(values)
    return web.Response(body=body, status=status, content_type="application/json")


def failure(status: int, text: str, keys: tuple[str, ...] = ()) -> web.Response:
    """Return why something was not done."""
    return answer(answers.Failure(schema=1, error=text, keys=keys), status)
