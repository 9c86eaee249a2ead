"""Everything around a manager that runs as a service: lock, journal, API, signals, protection.

Touches what those touch, and the process itself.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aerostat.daemon.config import Config
from aerostat.daemon.garbage import Garbage
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.daemon.journal.recording import about
from aerostat.daemon.journal.writer import Journal
from aerostat.daemon.manager import Manager, Watcher
from aerostat.daemon.policies import guide
from aerostat.daemon.protect import notify, protect
from aerostat.daemon.reload import Reloader
from aerostat.daemon.savefile import Lock, SaveFile
from aerostat.daemon.settings import settings_of
from aerostat.daemon.watchdog import Watchdog, reloading
from aerostat.engine.settings import Settings
from aerostat.errors import UsageError
from aerostat.hypervisors.base import Connector

if TYPE_CHECKING:
    from aerostat.daemon.api.handlers import Exposition

log = logging.getLogger(__name__)


class Server(Protocol):
    """Something that serves while the manager runs."""

    async def start(self) -> None:
        """Begin. Raises `UsageError` where that cannot be."""

    async def close(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a face adds to the service.

    `watchers` are called after each tick, `servers` serve while the manager runs, and `metrics`
    is what the API's ``/metrics`` answers.
    """

    watchers: Sequence[Watcher] = ()
    servers: Sequence[Server] = ()
    metrics: "Exposition | None" = None


async def serve(
    config: Config,
    connectors: Sequence[Connector],
    *,
    extras: Extras | None = None,
    read_config: Callable[[], Config] | None = None,
    settings: Settings | None = None,
    protected: bool = True,
) -> None:
    """Run a manager until SIGTERM or SIGINT. Raises `UsageError` where another one runs.

    `read_config` reads the configuration again, for SIGHUP. `protected` must be false in a process
    that starts guests: they would inherit what protects the manager from the OOM killer.
    """
    extras = extras or Extras()
    settings = settings or settings_of(config)
    async with AsyncExitStack() as stack:
        lock = Lock.take(config.state_path)
        stack.callback(lock.release)
        if protected:
            for text in protect():
                log.info("%s", text)
        host = HostKeeper(config)
        stack.callback(host.close)
        manager = Manager(
            config,
            connectors,
            host=host.read,
            journal=await stack.enter_async_context(_journal(config, settings)),
            save_file=SaveFile(config.state_path / "state.json"),
            settings=settings,
            guide=guide(config.policy),
        )
        if read_config is not None:
            manager.reloader = Reloader(manager, host, read_config).reload
        watchdog = Watchdog()
        garbage = stack.enter_context(Garbage())
        manager.watchers += [*extras.watchers, watchdog.saw, garbage.saw]
        stack.enter_context(_signals(manager))
        for server in [*_api(manager, config, extras), *extras.servers]:
            await server.start()
            stack.push_async_callback(server.close)
        manager.tell("memory.high", host.start(manager.wake))
        await _run(manager, watchdog)


async def _run(manager: Manager, watchdog: Watchdog) -> None:
    pinging = asyncio.create_task(watchdog.run())
    try:
        await manager.run()
    finally:
        notify("STOPPING=1")
        pinging.cancel()


def _api(manager: Manager, config: Config, extras: Extras) -> Iterator[Server]:
    if config.api.enabled:
        # Imported here: aiohttp weighs more than all the rest of the manager.
        from aerostat.daemon.api.server import Api  # noqa: PLC0415

        api = config.api
        yield Api(manager, config.socket_path, api.mode, group=api.group, metrics=extras.metrics)


@contextmanager
def _signals(manager: Manager) -> Iterator[None]:
    """Stop by SIGTERM and SIGINT, reload by SIGHUP."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(_reload(manager))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    handlers = {signal.SIGTERM: manager.stop, signal.SIGINT: manager.stop, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


async def _reload(manager: Manager) -> None:
    reloading()
    # What is wrong is in the log and in all views; here nobody waits for it.
    with contextlib.suppress(UsageError):
        await manager.reload()
    notify("READY=1")


@asynccontextmanager
async def _journal(config: Config, settings: Settings) -> AsyncIterator[Journal | None]:
    if not config.journal.enabled:
        yield None
        return
    journal = Journal(
        config.journal_path,
        keep_hours=config.journal.keep_hours,
        keep_days=config.journal.keep_days,
        keep_size=config.journal.keep_size,
        about=about(settings, manage=config.manage, policy=config.policy),
    )
    journal.start()
    try:
        yield journal
    finally:
        await asyncio.to_thread(journal.close)
