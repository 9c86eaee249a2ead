"""The QMP connector: guests whose monitors are unix sockets, QEMU's or our device's (asyncio).

Sockets are found by wildcards, looked for again as guests are listed. Each guest has one lasting
connection with a supervisor of its own: it connects, finds the balloon, waits for the connection
to end, and tries again ever less often. A monitor that does not answer in time loses its
connection, and costs nobody else anything.

To get statistics from stock QEMU its polling interval has to be set, for observing too; the
value that was found is put back where it was set at all. `read_only` means that no guest's size
is ever changed.
"""

import asyncio
import contextlib
import glob
import logging
import stat
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from aerostat.errors import AerostatError, LinkError, PeerError, UsageError
from aerostat.hypervisors.base import Examination, GuestInfo, Reading
from aerostat.hypervisors.qmp.balloons import Balloon, NoBalloonError, find_balloon, find_name
from aerostat.hypervisors.qmp.link import QmpLink, RefusedError, open_link
from aerostat.hypervisors.qmp.qemu_examination import examine
from aerostat.qmp.client import Event
from aerostat.qmp.server import DEVICE_NOT_FOUND

log = logging.getLogger(__name__)

# How often the file system is searched for sockets, at most.
_SCAN_INTERVAL = 1.0
# QEMU greets in milliseconds unless its main loop is busy; a monitor held by another never does.
_GREETING_TIMEOUT = 3.0
_SETUP_TIMEOUT = 5.0
# So many guests are begun with in one turn of the loop. Time limits are for monitors that do not
# answer; with all thousand at once they would run while we are busy with the others, and on a host
# that leaves us little time all of them would seem dead.
_AT_ONCE = 32
# A limit that ends later than this many times its length ended while the host ran somebody else.
_LATE = 1.1
_FIRST_RETRY = 0.25
_LAST_RETRY = 5.0
_RELEASE_TIMEOUT = 0.5

# A socket made anew at the same path may get the old one's inode, but not its time.
_SocketId = tuple[int, int, int]


class QmpGuest:
    """One guest: its connection, and the supervisor that keeps it."""

    def __init__(self, path: str, identity: _SocketId, counters: Counter[str]) -> None:
        self.key = f"qmp:{path}"
        self.name = PurePath(path).stem
        self.path = path
        self.identity = identity
        self.listening = True
        """False once nobody listens: the socket is a leftover of a guest that has died."""
        self._counters = counters
        self._link: QmpLink | None = None
        self._balloon: Balloon | None = None
        self._error: AerostatError = LinkError(f"{path}: not connected yet")
        self._tried = asyncio.Event()
        self._supervisor = asyncio.create_task(self._supervise(), name=self.key)

    def leave(self) -> asyncio.Task[None]:
        """Let go of the guest; the task returned ends when that is done."""
        self._supervisor.cancel()
        return self._supervisor

    async def sample(self, limit: float) -> Reading | AerostatError:
        """Read the guest, or say what is wrong. To be cancelled when the time is up."""
        try:
            link, balloon = await self._connected()
            return await balloon.sample(link, self.key, limit)
        except AerostatError as error:
            self._counters[type(error).__name__] += 1
            self._look_again(error)
            return error.with_traceback(None)  # it may be kept: let go of the frames

    async def set_target(self, size: int) -> None:
        """Set the guest's target. Raises `AerostatError`."""
        link, balloon = await self._connected()
        await balloon.set_target(link, size)

    async def examine(self, limit: float) -> Examination:
        """Find out how the machine is set up. Raises `AerostatError`."""
        await self._tried.wait()
        if self._link is not None and self._balloon is None:
            return await examine(self._link, self.key, None, None)
        link, balloon = await self._connected()
        return await balloon.examine(link, await balloon.sample(link, self.key, limit / 2))

    def give_up(self, limit: float) -> LinkError:
        """Drop the connection of a monitor that took too long; return the error to be told."""
        self._counters["timeouts"] += 1
        if self._link is None:
            return LinkError(f"{self.path} has not greeted yet; another client may hold it")
        error = LinkError(f"{self.path}: no answer within {limit:g} s")
        self._link.close(error)
        return error

    async def _connected(self) -> tuple[QmpLink, Balloon]:
        """Return the connection. The first attempt is waited for, later ones are not."""
        await self._tried.wait()
        if self._link is None or self._balloon is None:
            raise self._error.with_traceback(None)  # or it would grow with every raise
        return self._link, self._balloon

    async def _supervise(self) -> None:
        retry = _FIRST_RETRY
        while True:
            try:
                await self._serve_connection()
                retry = _FIRST_RETRY
            except AerostatError as error:
                self._note(error)
            finally:
                self._link = self._balloon = None
                self._tried.set()
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LAST_RETRY)

    async def _serve_connection(self) -> None:
        """Connect, and stay until the connection ends. Raises `AerostatError` if it cannot."""
        try:
            link = await open_link(self.path, _GREETING_TIMEOUT)
        except LinkError as error:
            nobody = isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
            self.listening = not nobody
            raise
        self.listening = True
        try:
            await self._set_up(link)
            log.info("%s: connected", self.key)
            self._note(await link.wait_ended())
        finally:
            await self._release(link)

    async def _set_up(self, link: QmpLink) -> None:
        """Find out who and what is there; return when it has a balloon."""
        link.on_event = self._event
        while self._balloon is None:
            try:
                async with asyncio.timeout(_SETUP_TIMEOUT):
                    self.name = await find_name(link) or self.name
                    self._balloon = await find_balloon(link)
            except TimeoutError:
                raise LinkError(f"{self.path}: the monitor greets but does not answer") from None
            except NoBalloonError as error:
                self._note(error)
            self._link = link
            self._tried.set()
            if self._balloon is None:  # one may be plugged in
                await self._stay(link, _LAST_RETRY)

    async def _stay(self, link: QmpLink, duration: float) -> None:
        """Wait for `duration` seconds. Raises `AerostatError` if the connection ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration):
                raise await link.wait_ended()

    def _look_again(self, error: AerostatError) -> None:
        """Begin anew where the balloon is not there any more."""
        gone = isinstance(error, RefusedError) and error.failure.error_class == DEVICE_NOT_FOUND
        if gone and self._link is not None:
            self._link.close(LinkError(f"{self.path}: the balloon was unplugged"))

    def _event(self, event: Event) -> None:
        if self._balloon is not None:
            self._balloon.event(event)

    async def _release(self, link: QmpLink) -> None:
        """End a connection; if it still works, leave the device as it was found."""
        balloon = self._balloon
        try:
            if balloon is not None and link.error is None:
                async with asyncio.timeout(_RELEASE_TIMEOUT):
                    await balloon.release(link)
        except (AerostatError, TimeoutError) as error:
            log.debug("%s: not released: %s", self.key, error)
        finally:
            link.close()

    def _note(self, error: AerostatError) -> None:
        """Remember why there is no connection; log it once, not at every attempt."""
        if str(error) != str(self._error):
            log.warning("%s: %s", self.key, error)
        self._error = error


class QmpConnector:
    """The guests whose monitors match `patterns` (wildcards as in `glob`)."""

    name = "qmp"

    def __init__(self, patterns: Sequence[str], *, read_only: bool = False) -> None:
        self._patterns = tuple(patterns)
        self._read_only = read_only
        self._guests: dict[str, QmpGuest] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._next_scan = float("-inf")
        self.counters: Counter[str] = Counter()
        """How often samples timed out, and failed by kind of error."""

    async def start(self) -> None:
        """Begin to connect to the guests there are."""
        await self._scan()

    async def close(self) -> None:
        """Let go of all guests, leaving their sizes as they are."""
        for key in list(self._guests):
            self._leave(key)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def guests(self) -> list[GuestInfo]:
        """Return the guests there are now, without waiting for any."""
        if time.monotonic() >= self._next_scan:
            await self._scan()
        return [
            GuestInfo(guest.key, guest.name, guest.path)
            for guest in self._guests.values()
            if guest.listening
        ]

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,
    ) -> dict[str, Reading | AerostatError]:
        """Read these guests at once; each key is answered, with an error if need be."""
        portions: list[asyncio.Task[dict[str, Reading | AerostatError]]] = []
        try:
            for first in range(0, len(keys), _AT_ONCE):
                portion = self._sample_portion(keys[first : first + _AT_ONCE], timeout)
                portions.append(asyncio.create_task(portion))
                await asyncio.sleep(0)
            answers = await asyncio.gather(*portions)
        finally:
            for task in portions:
                task.cancel()
        return {key: answer for portion in answers for key, answer in portion.items()}

    async def _sample_portion(
        self, keys: Sequence[str], timeout: float
    ) -> dict[str, Reading | AerostatError]:
        results: dict[str, Reading | AerostatError] = {}
        tasks: dict[str, asyncio.Task[Reading | AerostatError]] = {}
        for key in keys:
            guest = self._guests.get(key)
            if guest is None:
                results[key] = _no_such_guest(key)
            else:
                tasks[key] = asyncio.create_task(guest.sample(timeout))
        try:
            await _wait(tasks.values(), timeout)  # all began together: one limit is each one's
            for key, task in tasks.items():
                results[key] = task.result() if task.done() else self._give_up(key, timeout)
        finally:
            for task in tasks.values():
                task.cancel()
        return results

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,
    ) -> None:
        """Ask a guest to keep `size` bytes. Raises `LinkError`; `UsageError` if `read_only`."""
        if self._read_only:
            raise UsageError("this connector only observes")
        if size <= 0:
            raise UsageError(f"a guest cannot live with {size} bytes")
        guest = self._guests.get(key)
        if guest is None:
            raise _no_such_guest(key)
        try:
            async with asyncio.timeout(timeout):
                await guest.set_target(size)
        except TimeoutError:
            raise self._give_up(key, timeout) from None
        except PeerError as error:
            raise LinkError(f"{key}: {error}", retryable=False) from error

    async def examine(
        self,
        key: str,
        timeout: float,
    ) -> Examination:
        """Find out how a guest is set up, changing nothing. Raises `AerostatError`."""
        guest = self._guests.get(key)
        if guest is None:
            raise _no_such_guest(key)
        try:
            async with asyncio.timeout(timeout):
                examination = await guest.examine(timeout)
        except TimeoutError:
            raise self._give_up(key, timeout) from None
        return replace(examination, may_change=not self._read_only)

    def _give_up(self, key: str, limit: float) -> AerostatError:
        guest = self._guests.get(key)  # it may have gone in the meantime
        return guest.give_up(limit) if guest else _no_such_guest(key)

    def _leave(self, key: str) -> None:
        """Let go of a guest in the background: it may take a moment, and nobody waits for it."""
        task = self._guests.pop(key).leave()
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _scan(self) -> None:
        """Bring the guests in line with the sockets there are."""
        self._next_scan = time.monotonic() + _SCAN_INTERVAL
        there = _find_sockets(self._patterns)
        gone = [guest for guest in self._guests.values() if there.get(guest.path) != guest.identity]
        for guest in gone:
            self._leave(guest.key)
        fresh = [path for path in there if f"qmp:{path}" not in self._guests]
        for number, path in enumerate(fresh, 1):
            guest = QmpGuest(path, there[path], self.counters)
            self._guests[guest.key] = guest
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        # Connecting a unix socket takes no time: one turn of the loop tells who does not listen.
        await asyncio.sleep(0)


async def _wait(tasks: Collection["asyncio.Task[Any]"], limit: float) -> None:
    """Wait until all are done, at most for `limit` seconds in which we were there to wait."""
    began = time.monotonic()
    if not tasks or not (await asyncio.wait(tasks, timeout=limit))[1]:
        return
    if time.monotonic() - began > limit * _LATE:  # what came meanwhile has not been looked at
        await asyncio.wait(tasks, timeout=limit)


def _find_sockets(patterns: Sequence[str]) -> dict[str, _SocketId]:
    """Return the sockets there are, by path; a socket made anew has a new identity."""
    found = {}
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):  # noqa: PTH207 - Path.glob takes no absolute ones
            with contextlib.suppress(OSError):
                status = Path(path).stat()
                if stat.S_ISSOCK(status.st_mode):
                    found[path] = (status.st_dev, status.st_ino, status.st_mtime_ns)
    return found


def _no_such_guest(key: str) -> LinkError:
    return LinkError(f"there is no guest {key}", retryable=False)
