"""The lasting connection to one libvirtd: its helper, and the domains there are (asyncio).

A helper that ends is followed by another, ever less often while that does not work. Events tell
what happens to domains; a list made now and then mends what they miss. What is known of a domain
outlives the helper.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.hypervisors.libvirt import values
from aerostat.hypervisors.libvirt.domain import Domain
from aerostat.hypervisors.libvirt.domain_xml import read_setup
from aerostat.hypervisors.libvirt.link import DomainEvent, HelperLink, Program, open_helper
from aerostat.hypervisors.libvirt.pids import find_pid
from aerostat.units import KIB

log = logging.getLogger(__name__)

_FIRST_RETRY = 0.25
_LAST_RETRY = 10.0
# A connection that lasted this long did work.
_WORKED = 30.0
# Events tell of changes; should one have been missed, this is how long it goes unnoticed.
_LIST_INTERVAL = 30.0
_LIST_TIMEOUT = 5.0
# A domain that starts sends many events; they are answered together.
_LIST_PAUSE = 0.1
_LEARN_AT_ONCE = 2
_STARTED, _RESUMED, _STOPPED = 2, 4, 5  # VIR_DOMAIN_EVENT_STARTED and so on
_RELEARN = {"device_added", "device_removed", "memory_device_size_change", "metadata_change"}


class LibvirtSession:
    """All that is known of one libvirtd, from `start` to `close`."""

    def __init__(self, program: Program, run_directory: Path | None) -> None:
        self._program = program
        self._run_directory = run_directory
        self.domains: dict[str, Domain] = {}
        """The domains that run, by key."""
        self._listed = asyncio.Event()
        self.counters: Counter[str] = Counter()
        self._link: HelperLink | None = None
        self._stale = asyncio.Event()
        self._error: AerostatError = LinkError(f"{program.uri}: not connected yet")
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._supervisor = asyncio.create_task(self._supervise(), name=self._program.uri)

    async def close(self) -> None:
        """End the helper."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])

    async def wait_listed(self, timeout: float) -> None:
        """Wait until the domains are known, or the first attempt has failed, or time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._listed.wait()

    def link(self) -> HelperLink:
        """Return the helper. Raises what is wrong while there is none."""
        if self._link is None or self._link.error is not None:
            raise self._error.with_traceback(None)  # or it would grow with every raise
        return self._link

    @property
    def may_change(self) -> bool:
        """Whether there is a connection, and it allows changes."""
        return self._link is not None and self._link.error is None and self._link.may_change

    def find(self, key: str) -> Domain:
        """Return a domain. Raises `LinkError`."""
        domain = self.domains.get(key)
        if domain is None:
            raise LinkError(f"there is no guest {key}", retryable=False)
        return domain

    def list_soon(self) -> None:
        """Have the domains listed anew."""
        self._stale.set()

    async def look(self, call: str, timeout: float, **arguments: Any) -> Any:
        """Ask libvirt what no monitor, or no single one, can hold up. Raises `LinkError`."""
        return await self.ask("look", call, timeout, **arguments)

    async def act(self, domain: Domain, call: str, timeout: float, **arguments: Any) -> Any:
        """Make a call that the domain's monitor can hold up, one at a time for each domain.

        Nothing is tried on a domain that another call has hold of: what waits for a monitor that
        hangs takes a thread of the helper, for half a minute or for ever. Raises `LinkError`.
        """
        if domain.busy or self.link().owes("act", domain.uuid):
            raise LinkError(f"{domain.name}: its monitor is busy with an earlier call")
        try:
            async with asyncio.timeout(timeout), domain.lock:
                return await self.ask("act", call, timeout, uuid=domain.uuid, **arguments)
        except TimeoutError:
            raise LinkError(f"{domain.name}: no answer within {timeout:g} s") from None

    async def ask(self, lane: str, call: str, timeout: float, **arguments: Any) -> Any:
        """Make a call in one of the helper's lanes. Raises `LinkError`."""
        link = self.link()
        try:
            return await link.ask(lane, call, timeout, **arguments)
        finally:
            if link.error is None and link.held_up(lane):
                link.kill(LinkError("libvirtd does not answer any more"))

    async def learn(self, link: HelperLink, domain: Domain, timeout: float) -> None:
        """Read a domain's description. Raises `AerostatError`."""
        text = await link.ask("look", "xml", timeout, uuid=domain.uuid)
        if not isinstance(text, str):
            raise PeerError("the description of the domain is not text")
        domain.learn(read_setup(text), find_pid(self._run_directory, domain.name, domain.uuid))

    async def _supervise(self) -> None:
        retry = _FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                self._note(await self._serve_connection())
            except AerostatError as error:
                self._note(error)
            finally:
                self._link = None
                self._listed.set()
            if time.monotonic() - began > _WORKED:
                retry = _FIRST_RETRY
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LAST_RETRY)

    async def _serve_connection(self) -> AerostatError:
        """Start a helper, and follow what domains there are until it ends; return why it did."""
        self.counters["helpers"] += 1
        link = await open_helper(self._program, self._event)
        try:
            await self._list(link)
            self._link = link
            self._listed.set()
            log.info("%s: connected", self._program.uri)
            self._error = LinkError(f"{self._program.uri}: not connected")
            ended = asyncio.create_task(link.wait_ended())
            while not ended.done():
                await _first(self._stale.wait(), asyncio.sleep(_LIST_INTERVAL), ended)
                await asyncio.sleep(_LIST_PAUSE)
                if not ended.done():
                    await self._list(link)
            return ended.result()
        finally:
            self._link = None
            await link.close()

    async def _list(self, link: HelperLink) -> None:
        """Bring the domains in line with what libvirt lists, and learn how new ones are set up."""
        self._stale.clear()
        there = values.domains(await link.ask("look", "domains", _LIST_TIMEOUT))
        found = {}
        for uuid, (name, number) in there.items():
            domain = self.domains.get(f"libvirt:{uuid}")
            if domain is None or domain.number != number:
                domain = Domain(uuid, name, number, self._program.uri)
            domain.name = name
            found[domain.key] = domain
        new = [domain for domain in found.values() if domain.setup is None]
        await at_most(_LEARN_AT_ONCE, [self._try_learn(link, domain) for domain in new])
        self.domains = found

    async def _try_learn(self, link: HelperLink, domain: Domain) -> None:
        try:
            await self.learn(link, domain, _LIST_TIMEOUT)
        except AerostatError as error:  # it may have gone; it will be tried with the next list
            log.debug("%s: its description cannot be read: %s", domain.name, error)

    def _event(self, event: DomainEvent) -> None:
        """Follow what happens to domains."""
        domain = self.domains.get(f"libvirt:{event.uuid}")
        match event.kind, event.details:
            case "balloon_change", [int(size_kib), *_] if domain is not None and size_kib >= 0:
                domain.resized(size_kib * KIB)
            case "reboot", _ if domain is not None:
                domain.restarted()
            case "lifecycle", [int(what), *_] if what == _STOPPED:
                self.domains.pop(f"libvirt:{event.uuid}", None)
            case "lifecycle", [int(what), *_] if what in (_STARTED, _RESUMED):
                # A migration and a restored snapshot, too, bring a period of their own.
                self._forget_setup(domain)
            case kind, _ if kind in _RELEARN:
                self._forget_setup(domain)

    def _forget_setup(self, domain: Domain | None) -> None:
        if domain is not None:
            domain.setup = None
        self._stale.set()

    def _note(self, error: AerostatError) -> None:
        """Remember why there is no connection; log it once, not at every attempt."""
        if str(error) != str(self._error):
            log.warning("%s: %s", self._program.uri, error)
        self._error = error


async def _first(*waiting: Awaitable[Any]) -> None:
    """Return when the first of these is there, and give up on the others but for tasks."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, each in zip(tasks, waiting, strict=True):
            if task is not each:
                task.cancel()


async def at_most(limit: int, work: Sequence[Awaitable[None]]) -> None:
    """Do all of this, `limit` at a time."""
    gate = asyncio.Semaphore(limit)

    async def do(each: Awaitable[None]) -> None:
        async with gate:
            await each

    await asyncio.gather(*map(do, work))
