"""Everything around a manager that runs as a service: lock, journal, API, signals, protection.

Touches what those touch, and the process itself.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence

import msgspec

from aerostat.daemon.config import Amount, Config
from aerostat.daemon.journal import Journal
from aerostat.daemon.manager import Manager, Watcher
from aerostat.daemon.protect import notify, protect
from aerostat.daemon.savefile import Lock, SaveFile
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.engine.settings import Settings
from aerostat.host.budget import Budget, HostReading, read_host
from aerostat.host.meminfo import read_meminfo
from aerostat.hypervisors.base import Connector

log = logging.getLogger(__name__)

# Kept for the host itself where the configuration is silent: its kernel, its services, and the
# page cache of its disks' images.
_DEFAULT_RESERVE = Amount(fraction=0.10)


def host_reader(config: Config) -> Callable[[int], HostReading]:
    """Return the function that tells a `Manager` of this configuration about its host.

    Raises `MissingError` where the host's memory cannot be read.
    """
    if config.host.budget is not None:
        budget = Budget(size=config.host.budget)
    else:
        reserve = config.host.reserve or _DEFAULT_RESERVE
        budget = Budget(reserve=reserve.of(read_meminfo().total))
    return lambda held: read_host(budget, held)


async def serve(
    config: Config,
    connectors: Sequence[Connector],
    *,
    watchers: Sequence[Watcher] = (),
    settings: Settings | None = None,
    protected: bool = True,
) -> None:
    """Run a manager until SIGTERM or SIGINT. Raises `UsageError` where another one runs.

    `watchers` are called after each tick. `protected` must be false in a process that starts
    guests: they would inherit what protects the manager from the OOM killer.
    """
    lock = Lock.take(config.state_path)
    try:
        settings = settings or Settings(mode=config.mode)
        if protected:
            for text in protect():
                log.info("%s", text)
        journal = _journal(config, settings)
        try:
            manager = Manager(
                config,
                connectors,
                host=host_reader(config),
                journal=journal,
                save_file=SaveFile(config.state_path / "state.json"),
                settings=settings,
            )
            manager.watchers += [*watchers, _notify_systemd]
            await _run(manager, config)
        finally:
            if journal is not None:
                await asyncio.to_thread(journal.close)
    finally:
        lock.release()


async def _run(manager: Manager, config: Config) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, manager.stop)
    try:
        if not config.api.enabled:
            await manager.run()
            return
        # Imported here: aiohttp weighs more than all the rest of the manager.
        from aerostat.daemon.api import Api  # noqa: PLC0415

        api = Api(manager, config.socket_path, config.api.mode)
        await api.start()
        try:
            await manager.run()
        finally:
            await api.close()
    finally:
        notify("STOPPING=1")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _journal(config: Config, settings: Settings) -> Journal | None:
    if not config.journal.enabled:
        return None
    about = msgspec.json.encode(
        {"mode": "manage" if config.manage else "observe", "settings": settings}
    )
    journal = Journal(
        config.journal_path,
        keep_hours=config.journal.keep_hours,
        keep_size=config.journal.keep_size,
        about=about.decode(),
    )
    journal.start()
    return journal


def _notify_systemd(snapshot: Snapshot, _: Sequence[MoveRow]) -> None:
    status = f"{snapshot.mode}s {len(snapshot.guests)} guests, {snapshot.moves} moves"
    notify(f"READY=1\nWATCHDOG=1\nSTATUS={status}")
