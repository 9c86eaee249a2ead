"""The manager: its loop, and all that operators may ask it and order.

A fault in a tick, a view or the disk never ends it. Without `manage` in the configuration nothing
is ever changed. Touches guests through connectors, the host through the function it is given, and
the files through `Journal` and `SaveFile`.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aerostat.daemon.clock import Clock, SystemClock
from aerostat.daemon.config import Config
from aerostat.daemon.explaining import explanation, values_of
from aerostat.daemon.journal.writer import JournalLike, NoJournal
from aerostat.daemon.names import clean_text
from aerostat.daemon.orders import Orders
from aerostat.daemon.reservations import Reservation
from aerostat.daemon.sampler import Seen
from aerostat.daemon.savefile import Saved, SaveFile
from aerostat.daemon.snapshot import GuestRow, MoveRow, ReservationRow, Snapshot
from aerostat.daemon.thinking import Guide, Thinker
from aerostat.daemon.tick import ReadHost, Ticker
from aerostat.daemon.waking import Waking
from aerostat.engine.settings import Settings
from aerostat.errors import UsageError
from aerostat.hypervisors.base import Connector, Examination
from aerostat.units import format_size

log = logging.getLogger(__name__)

# How much a killed manager may forget of what it has learned; what it asks is saved at once.
_SAVE_EVERY = 10.0
_CLOSE_LIMIT = 2.0
_EXAMINE_LIMIT = 5.0
# When a balloon is looked at after it was asked to move, seconds.
_CLOSE_LOOKS = (0.05, 0.1, 0.2, 0.4)

Watcher = Callable[[Snapshot, Sequence[MoveRow]], None]


class Manager:
    """One manager of one host.

    `host` is given the bytes that all guests hold and returns the host's figures. `watchers` are
    called after each tick with its snapshot and the moves that ended since the last one. `reload`
    is done by `reloader`, where there is one.
    """

    def __init__(
        self,
        config: Config,
        connectors: Sequence[Connector],
        *,
        host: ReadHost,
        clock: Clock | None = None,
        journal: JournalLike | None = None,
        save_file: SaveFile | None = None,
        settings: Settings | None = None,
        guide: Guide | None = None,
        host_name: str = "localhost",
    ) -> None:
        self.watchers: list[Watcher] = []
        self.snapshot: Snapshot | None = None
        self.reloader: Callable[[], Awaitable[str | None]] | None = None
        self.config_problem = ""
        self._clock = clock or SystemClock()
        self._ticker = Ticker(
            config,
            connectors,
            host=host,
            clock=self._clock,
            journal=journal or NoJournal(),
            thinker=Thinker(settings or Settings(), host_name, guide),
        )
        self._logbook = self._ticker.logbook
        self._save_file = save_file
        self._waking = Waking(self._clock)
        self._config_loaded = self._clock.wall()
        self._saved = self._clock.monotonic()

    # What others may ask.

    @property
    def config(self) -> Config:
        """The configuration that holds."""
        return self._ticker.config

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, in the order of the configuration."""
        return self._ticker.sampler.connectors

    @property
    def guide(self) -> Guide | None:
        """The policy that is followed; None for the engine's own."""
        return self._ticker.thinker.guide

    @property
    def recent_moves(self) -> deque[MoveRow]:
        """The last moves, the newest last."""
        return self._logbook.recent_moves

    @property
    def held_guests(self) -> Mapping[str, str]:
        """The keys of the guests that operators hold, and what they said to it."""
        return self._ticker.orders.holds

    @property
    def reservations(self) -> tuple[ReservationRow, ...]:
        """The reservations, the oldest first."""
        return self._ticker.reservations()

    def explain(self, key: str) -> str:
        """Return in a sentence what is done with a guest, and why. Raises `UsageError`."""
        return explanation(self._guest(key), self._ticker.thinker.last, self._ticker.orders)

    def explain_values(self, key: str) -> dict[str, Any]:
        """Return what is behind `explain`, as plain values. Raises `UsageError`.

        Sizes are bytes, times and ages seconds, None is not known: the guest's ``sample``, the
        engine's ``estimates``, the ``bounds`` within which it decides, its ``decision``, and the
        ``outcome`` of the last request.
        """
        return values_of(self._guest(key), self._row(key), self._ticker.thinker.last, self._logbook)

    async def examine(self, key: str, timeout: float = _EXAMINE_LIMIT) -> Examination:
        """Find out how a guest is set up. Raises `AerostatError`."""
        seen = self._guest(key)
        return await seen.connector.examine(seen.raw_key, timeout)

    # What operators may order. All of it raises `UsageError` where it cannot be, and with `dry_run`
    # that is all that it does.

    def stop(self) -> None:
        """Ask the manager to end; `run` returns when it has."""
        self._waking.stop()

    def wake(self) -> None:
        """Look at all guests and decide at once: the host is under pressure, or an order came."""
        self._ticker.pace.hurry()
        self._waking.wake()

    def change(
        self,
        config: Config,
        connectors: Sequence[Connector],
        settings: Settings,
        guide: Guide | None,
        problem: str,
    ) -> None:
        """Go by `config` from the next tick on; `problem` is what of it waits for the next start.

        Connectors that are here already keep their connections.
        """
        self._ticker.change(config, connectors, settings, guide)
        self._config_loaded = self._clock.wall()
        self.config_problem = problem
        self._logbook.record("reloaded", problem)
        self._waking.wake()

    def refuse(self, problem: str) -> None:
        """Say what was wrong with a new configuration; the old one holds."""
        self.config_problem = problem
        self._logbook.record("problem", problem)
        log.warning("%s", problem)

    def tell(self, what: str, problem: str) -> None:
        """Say what is wrong with `what`, or with "" that nothing is."""
        if problem:
            self._logbook.say(what, problem)
        else:
            self._logbook.solve(what)

    async def reload(self) -> str | None:
        """Read the configuration again; the old one holds where that fails.

        Returns what of the new one waits for the next start, if anything does.
        """
        if self.reloader is None:
            raise UsageError("this manager was started without a configuration file")
        return await self.reloader()

    def set_target(self, key: str, size: int | None, *, dry_run: bool = False) -> None:
        """Pin a guest to `size` bytes until it is called with None."""
        self._check_manages()
        if size is not None:
            self._check_size(self._movable(key), size)
        if dry_run:
            return
        if size is None:
            self._orders.pins.pop(key, None)
        else:
            self._orders.pin(key, size)
        self._ordered()

    def hold(self, key: str, note: str = "", *, dry_run: bool = False) -> None:
        """Leave a guest as it is until `resume`, for the reason `note`."""
        seen = self._guest(key)
        if not dry_run:
            self._orders.hold(key, note)
            self._logbook.record("held", f"{seen.info.name}: {self._orders.holds[key]}")
            self._ordered()

    def resume(self, key: str, *, dry_run: bool = False) -> None:
        """Manage a guest again that was held."""
        if key not in self._orders.holds:
            raise UsageError(f"{clean_text(key)} is not held")
        if not dry_run:
            del self._orders.holds[key]
            self._logbook.record("resumed", key)
            self._ordered()

    def release_guest(self, key: str | None, *, dry_run: bool = False) -> tuple[str, ...]:
        """Give a guest, or all, memory back as far as the ledger covers it now; return their keys.

        Guests that are held or pinned are left alone.
        """
        self._check_manages()
        if key is not None:
            self._movable(key)
        orders, now = self._orders, self._clock.monotonic()
        moves = [move for move in self._ticker.releases(key) if move.key not in orders.pins]
        for move in moves if not dry_run else ():
            orders.release(move.key, move.to_size, now)
        if moves and not dry_run:
            self._ordered()
        return tuple(move.key for move in moves)

    def reserve(self, name: str, size: int, lease: float, *, dry_run: bool = False) -> Reservation:
        """Keep `size` bytes for the guest `name` for `lease` seconds."""
        if any(name in seen.names for seen in self._ticker.seen.values() if seen.reading):
            raise UsageError(f"{clean_text(name)} is here already; a reservation is for who comes")
        now = self._clock.monotonic()
        if dry_run:
            return self._orders.reservations.checked(name, size, lease, now)
        made = self._orders.reservations.make(name, size, lease, now)
        self._logbook.record("reserved", f"{format_size(size)} for {name}, {lease:g} s")
        self._ordered()
        return made

    def renew(self, name: str, lease: float, *, dry_run: bool = False) -> Reservation:
        """Have a reservation last `lease` seconds from now."""
        reservations, now = self._orders.reservations, self._clock.monotonic()
        size = reservations.of(name).size
        if dry_run:
            return reservations.checked(name, size, lease, now)
        renewed = reservations.make(name, size, lease, now)
        self._ordered()
        return renewed

    def cancel(self, name: str, *, dry_run: bool = False) -> None:
        """End a reservation."""
        self._orders.reservations.of(name)
        if not dry_run:
            self._orders.reservations.cancel(name)
            self._logbook.record("reservation ended", f"{name}: cancelled")
            self._ordered()

    def _ordered(self) -> None:
        """Carry out what was just ordered, and keep it, without waiting for the next tick."""
        self._saved = self._clock.monotonic() - _SAVE_EVERY
        self.wake()

    @property
    def _orders(self) -> Orders:
        return self._ticker.orders

    def _check_manages(self) -> None:
        if not self.config.manage:
            raise UsageError("this manager only observes; start it with --manage to change sizes")

    def _check_size(self, seen: Seen, size: int) -> None:
        assert seen.reading is not None  # or it were not movable
        promise = self._ticker.promises.of(seen.info, seen.reading.max_size)
        if not promise.guarantee <= size <= promise.ceiling:
            least, most = format_size(promise.guarantee), format_size(promise.ceiling)
            raise UsageError(f"{seen.info.name} can be set from {least} to {most}")

    def _guest(self, key: str) -> Seen:
        seen = self._ticker.seen.get(key)
        if seen is None:
            raise UsageError(f"no such guest: {clean_text(key)}")
        return seen

    def _row(self, key: str) -> GuestRow | None:
        rows = self.snapshot.guests if self.snapshot else ()
        return next((row for row in rows if row.key == key), None)

    def _movable(self, key: str) -> Seen:
        """Return a guest that an operator may have moved."""
        seen = self._ticker.seen.get(key)
        if seen is None or seen.reading is None:
            raise UsageError(f"{clean_text(key)} has not answered yet; its sizes are not known")
        if not self._ticker.promises.of(seen.info, seen.reading.max_size).managed:
            raise UsageError(f"{seen.info.name} is not managed; the configuration exempts it")
        if key in self._orders.holds:
            raise UsageError(f"{seen.info.name} is held by an operator; resume it first")
        return seen

    # The loop.

    async def run(self) -> None:
        """Manage until `stop` is called."""
        if self._save_file is not None:
            saved = self._save_file.load(self._clock.monotonic())
            self._ticker.thinker.state, self._ticker.orders = saved.state, saved.orders
            self._ticker.sampler.linger(saved.guests)
        self._logbook.record("started", "manages" if self.config.manage else "observes")
        try:
            await self._ticker.sampler.start(self.config.sample_limit)
            while not self._waking.stopping.is_set():
                began = self._waking.begin(self.config.interval)
                await self._guarded_tick(began)
                took = self._clock.monotonic() - began
                await self._watch_movers()
                await self._waking.rest(self.config.interval, took)
        finally:
            await self._end()

    async def _watch_movers(self) -> None:
        """Follow the balloons that move closely; begin the next tick when that helps somebody."""
        asked = self._clock.monotonic()
        for after in _CLOSE_LOOKS:
            if asked + after >= self._waking.due or not self._ticker.movers():
                return
            if await self._waking.sleep_until(asked + after):
                return
            try:
                if await self._ticker.watch_movers():
                    self._waking.wake()
                    return
            except Exception as error:  # as with a tick
                self._logbook.say("tick", _fault("balloons are not followed", error))
                log.debug("following failed", exc_info=True)

    async def _guarded_tick(self, began: float) -> None:
        try:
            snapshot = await self._ticker.tick(self._waking.cycle, began)
            self._logbook.solve("tick")
            self._publish(snapshot)
        except Exception as error:  # a fault of ours must not leave squeezed guests alone for ever
            self._logbook.say("tick", _fault("not finished", error))
            log.debug("tick failed", exc_info=True)
        # Who began with an older request would take it for one under way, and go back to it.
        if self._ticker.asked or self._clock.monotonic() - self._saved >= _SAVE_EVERY:
            self._save()

    def _publish(self, snapshot: Snapshot) -> None:
        disk = self._save_file.problem if self._save_file else ""
        own = (text for text in (disk, self.config_problem) if text)
        self.snapshot = replace(
            snapshot,
            problems=(*snapshot.problems, *own),
            config_loaded_wall=self._config_loaded,
            config_problem=self.config_problem or None,
        )
        moves = self._logbook.take_fresh()
        for watcher in tuple(self.watchers):
            try:
                watcher(self.snapshot, moves)
            except Exception:  # a broken view is left out; the guests matter more
                log.exception("a view failed, and is not shown any more")
                self.watchers.remove(watcher)

    def _save(self) -> None:
        self._saved = self._clock.monotonic()
        if self._save_file is not None:
            ticker = self._ticker
            guests = ticker.sampler.remembered()
            self._save_file.save(Saved(ticker.thinker.state, ticker.orders, guests))

    async def _end(self) -> None:
        await self._ticker.requests.finish(self.config.request_timeout)
        if self.config.manage and self.config.on_exit == "release":
            await self._ticker.release_all()
        if self._save_file is not None:
            self._save_file.finish(_CLOSE_LIMIT)
            self._save()
            self._save_file.finish(_CLOSE_LIMIT)
        await self._ticker.sampler.close(_CLOSE_LIMIT)
        self._logbook.record("stopped", self.config.on_exit)


def _fault(effect: str, error: Exception) -> str:
    return clean_text(f"{effect}: {type(error).__name__}: {error}")
