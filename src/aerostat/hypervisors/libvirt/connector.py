"""The libvirt connector: the domains that a libvirtd runs (asyncio).

All that calls libvirt is in a helper process (`helper`), which is killed and started
again when it hangs. One bulk call reads many guests; libvirtd serves it one guest after the other
and skips those that another call has hold of. So a monitor that begins to hang holds up one such
call, which is made again without waiting for the first, and costs its own guest from then on.

To get statistics their period has to be set, for observing too: to `period` seconds where it is 0
or longer, and it is put back at the end. `read_only` means that no guest's size is ever changed.
Where libvirt allows no more than a read-only connection, that is enough to observe the guests
whose period somebody else has set.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any

from aerostat.errors import AerostatError, LinkError, PeerError, UsageError
from aerostat.hypervisors import values
from aerostat.hypervisors.base import Examination, GuestInfo, Reading
from aerostat.hypervisors.libvirt import values as libvirt_values
from aerostat.hypervisors.libvirt.agents import LibvirtAgents
from aerostat.hypervisors.libvirt.domain import Domain, Moment
from aerostat.hypervisors.libvirt.examine import examination
from aerostat.hypervisors.libvirt.link import HELPER, Mode, Program
from aerostat.hypervisors.libvirt.pids import run_directory as default_run_directory
from aerostat.hypervisors.libvirt.session import LibvirtSession, at_most
from aerostat.units import KIB

_Task = asyncio.Task[Any]

log = logging.getLogger(__name__)

_FIRST_LIST = 3.0
# Guests in one call. libvirtd takes 0.3 to 2 ms a guest, and decoding what one call brings takes a
# fraction of a millisecond.
_CHUNK = 64
# Bulk calls under way at once. The helper's other threads are for those that are held up.
_AT_ONCE = 2
# After this part of its time a call is taken to be held up by a guest, and is made again.
_HELD_UP = 0.3
_MOST_CALLS = 3
# Another manager's call has hold of a domain for some milliseconds.
_SHORT_WAIT = 0.03
# A guest on an unloaded host answers in 3 to 6 ms.
_FIRST_WAIT = 0.01
# Which part of a sample's time may be spent on waiting for guests that were asked out of turn.
_PATIENCE = 0.5
# A call that sets the period has libvirtd write the domain's state to disk, some milliseconds.
_REQUEST_TIMEOUT = 5.0
_RELEASE_TIMEOUT = 2.0


class LibvirtConnector:
    """The domains of the libvirtd at `uri`.

    `passthrough` allows commands to QEMU's own monitor, for six statistics that libvirt does not
    show; libvirt marks such domains as tainted. `python` is an interpreter with libvirt's binding.
    `period` is how often guests make figures, seconds; figures older than `wanted_age` seconds,
    about twice as much by default, are asked for out of turn. Without `set_period` nothing at all
    is changed if `read_only`, by a connection that could not. `run_directory` is where libvirtd
    writes down processes, if that is not the usual place.
    """

    name = "libvirt"

    def __init__(
        self,
        uri: str = "qemu:///system",
        *,
        read_only: bool = False,
        passthrough: bool = False,
        python: str = "/usr/bin/python3",
        set_period: bool = True,
        period: int = 2,
        wanted_age: float | None = None,
        run_directory: Path | None = None,
        helper: Path = HELPER,
    ) -> None:
        if period < 1:
            raise UsageError(f"guests cannot make figures every {period} s")
        self._uri = uri
        self._read_only = read_only
        self._passthrough = passthrough
        self._set_period = set_period
        self._period = period
        # When all is well, figures are read up to a second after they were made, and are dated
        # in whole seconds.
        self._wanted_age = period + 2.0 if wanted_age is None else wanted_age
        mode: Mode = "full"
        if read_only:
            mode = "either" if set_period or passthrough else "read-only"
        program = Program(uri, mode, python, helper)
        self._session = LibvirtSession(program, run_directory or default_run_directory(uri))
        self.counters = self._session.counters
        """How often samples timed out, failed by kind of error, and helpers were started."""
        self.agents = LibvirtAgents(self._session)
        """The agents inside its guests."""
        self._requests: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to connect."""
        self._session.start()

    async def close(self) -> None:
        """Put the periods of statistics back, and end the helper. Sizes stay as they are."""
        for task in self._requests:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await asyncio.gather(*map(self._restore, self._session.domains.values()))
        await self._session.close()

    async def guests(self) -> list[GuestInfo]:
        """Return the domains that run. Raises `AerostatError` while libvirt is out of reach."""
        await self._session.wait_listed(_FIRST_LIST)
        self._session.link()
        return [domain.info for domain in self._session.domains.values()]

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,
    ) -> dict[str, Reading | AerostatError]:
        """Read these guests at once; each key is answered, with an error if need be."""
        until = time.monotonic() + timeout
        await self._session.wait_listed(timeout)
        known = self._session.domains
        domains = {key: known[key] for key in keys if key in known}
        failed = await self._look(list(domains.values()), until)
        well = [domain for domain in domains.values() if domain.key not in failed]
        if self._session.may_change and self._set_period:
            failed |= await self._ask_late_ones(well, until)
        if self._session.may_change and self._passthrough:
            await self._ask_monitors(well, until)
        answers: dict[str, Reading | AerostatError] = {}
        for key in keys:
            if key in domains:
                answers[key] = failed.get(key) or domains[key].reading()
            else:
                answers[key] = LinkError(f"there is no guest {key}", retryable=False)
        failures = (type(each).__name__ for each in answers.values() if not _is_reading(each))
        self.counters.update(failures)
        return answers

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,
    ) -> None:
        """Ask a guest to keep `size` bytes. Raises `LinkError`; `UsageError` if `read_only`."""
        if self._read_only:
            raise UsageError("this connector only observes")
        if size < KIB:
            raise UsageError(f"a guest cannot live with {size} bytes")
        await self._session.wait_listed(timeout)
        domain = self._session.find(key)
        await self._session.act(domain, "set_memory", timeout, size_kib=size // KIB)

    async def examine(
        self,
        key: str,
        timeout: float,
    ) -> Examination:
        """Find out how a guest is set up, changing nothing. Raises `AerostatError`."""
        await self._session.wait_listed(timeout)
        domain = self._session.find(key)
        until = time.monotonic() + timeout
        await self._session.learn(self._session.link(), domain, timeout)
        failed = await self._look([domain], until)
        if key in failed:
            raise failed[key]
        return await examination(
            domain,
            self._uri,
            may_change=self._session.may_change and not self._read_only,
            period=self._period,
            agents=self.agents if self._session.may_change else None,
            limit=max(0.1, until - time.monotonic()),
        )

    async def _look(self, domains: Sequence[Domain], until: float) -> dict[str, AerostatError]:
        """Bring what is known of these domains up to date; return what failed, by key."""
        now = time.monotonic()
        failed: dict[str, AerostatError] = {}
        looks = []
        for blocks in (False, True):
            some = [domain for domain in domains if domain.wants_blocks(now) is blocks]
            for start in range(0, len(some), _CHUNK):
                chunk = some[start : start + _CHUNK]
                looks.append(self._look_at(chunk, until, failed, blocks=blocks))
        await at_most(_AT_ONCE, looks)
        return failed

    async def _look_at(
        self,
        domains: Sequence[Domain],
        until: float,
        failed: dict[str, AerostatError],
        *,
        blocks: bool = False,
    ) -> None:
        """Read one chunk; those that are held for a moment by another's call, a second time."""
        were_busy = {domain.key for domain in domains if domain.busy}
        await self._call(domains, until, failed, blocks=blocks)
        again = [domain for domain in domains if domain.busy and domain.key not in were_busy]
        if again and time.monotonic() + 2 * _SHORT_WAIT < until:
            await asyncio.sleep(_SHORT_WAIT)
            await self._call(again, until, failed)

    async def _call(
        self,
        domains: Collection[Domain],
        until: float,
        failed: dict[str, AerostatError],
        *,
        blocks: bool = False,
    ) -> None:
        """Make one bulk call, and a second one should the first be held up."""
        asked = Moment.now()
        uuids = [domain.uuid for domain in domains]

        def ask() -> Coroutine[Any, Any, Any]:
            left = max(0.0, until - time.monotonic())
            return self._session.look("stats", left, uuids=uuids, blocks=blocks)

        try:
            raw = await _hedged(ask, (until - asked.monotonic) * _HELD_UP)
            records = values.members(raw, "domain statistics")
        except AerostatError as error:
            failed.update(dict.fromkeys((domain.key for domain in domains), error))
            return
        now = Moment.now()
        for domain in domains:
            if (record := records.get(domain.uuid)) is None:
                failed[domain.key] = LinkError(f"{domain.name} has gone")
                self._session.list_soon()
                continue
            try:
                domain.take(libvirt_values.record(record), asked, now, blocks=blocks)
            except PeerError as error:
                failed[domain.key] = error

    async def _ask_late_ones(
        self, domains: Sequence[Domain], until: float
    ) -> dict[str, AerostatError]:
        """Have guests asked whose figures are older than wanted; wait a bit for likely answers.

        Setting the period from 0 to something makes QEMU ask at once. It costs libvirtd four
        times what reading costs, so it is for guests whose figures are not renewed by themselves:
        new ones, and those whose period was changed. Return what failed, by key.
        """
        now = time.monotonic()
        late = [domain for domain in domains if domain.wants_request(now, self._wanted_age)]
        before = {domain.key: domain.sampled_at for domain in late}
        waited_for = [domain for domain in late if domain.responsive]
        requests = []
        for domain in late:
            domain.requested(now, self._wanted_age)
            request = asyncio.create_task(self._request(domain))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
            if domain in waited_for:
                requests.append(request)
        failed: dict[str, AerostatError] = {}
        patience = now + (until - now) * _PATIENCE
        if requests:
            await asyncio.wait(requests, timeout=patience - time.monotonic())
        wait = _FIRST_WAIT
        while waited_for and time.monotonic() + wait < patience:
            await asyncio.sleep(wait)
            await self._look_at(waited_for, until, failed)
            waited_for = [
                domain for domain in waited_for if domain.sampled_at == before[domain.key]
            ]
            wait *= 2
        return failed

    async def _request(self, domain: Domain) -> None:
        """Have a guest asked for figures. What fails is tried again with a later sample."""
        try:
            await self._session.act(
                domain, "set_period", _REQUEST_TIMEOUT, periods=domain.periods(self._period)
            )
        except AerostatError as error:
            log.debug("%s: not asked for figures: %s", domain.key, error)

    async def _restore(self, domain: Domain) -> None:
        """Put a domain's period back."""
        if domain.period_found is None:
            return
        try:
            await self._session.act(
                domain, "set_period", _RELEASE_TIMEOUT, periods=[domain.period_found]
            )
        except AerostatError as error:
            log.debug("%s: its period is not put back: %s", domain.key, error)

    async def _ask_monitors(self, domains: Sequence[Domain], until: float) -> None:
        """Read the statistics that libvirt does not show, where the guest has sent new figures."""
        wanted = [domain for domain in domains if domain.wants_monitor()]
        await at_most(_AT_ONCE, [self._ask_monitor(domain, until) for domain in wanted])

    async def _ask_monitor(self, domain: Domain, until: float) -> None:
        alias = None if domain.setup is None else domain.setup.alias
        left = until - time.monotonic()
        if alias is None or left <= 0:
            return
        arguments = {"path": f"/machine/peripheral/{alias}", "property": "guest-stats"}
        command = json.dumps({"execute": "qom-get", "arguments": arguments})
        try:
            raw = await self._session.act(domain, "monitor", left, command=command)
            domain.take_from_monitor(libvirt_values.monitor_figures(raw))
        except AerostatError as error:
            log.debug("%s: its monitor was not read: %s", domain.key, error)


def _is_reading(answer: Reading | AerostatError) -> bool:
    return isinstance(answer, Reading)


async def _hedged(ask: Callable[[], Coroutine[Any, Any, Any]], delay: float) -> Any:
    """Ask; while that takes longer than `delay` seconds, ask again; take what comes first.

    Each guest whose monitor has just begun to hang holds up one call.
    """
    tasks = [asyncio.create_task(ask())]
    try:
        while not (done := await _some(tasks, delay if len(tasks) < _MOST_CALLS else None)):
            tasks.append(asyncio.create_task(ask()))
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _some(tasks: Collection[_Task], limit: float | None) -> set[_Task]:
    """Return those of the tasks that are done, once there is one, within `limit` seconds."""
    done, _ = await asyncio.wait(tasks, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    return done
