"""One tick: look at the guests, step the engine, carry out its plan, make the picture of it all.

A tick never waits for a guest that hangs, nor for the disk. Touches guests through connectors, and
the host through the function that it is given.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import numpy as np

from aerostat.daemon.clock import Clock
from aerostat.daemon.columns import held_by_all
from aerostat.daemon.config import Config
from aerostat.daemon.gaps import Gaps
from aerostat.daemon.journal.writer import JournalLike
from aerostat.daemon.logbook import Logbook
from aerostat.daemon.names import clean_text
from aerostat.daemon.orders import Orders
from aerostat.daemon.pace import Pace
from aerostat.daemon.promises import Promises
from aerostat.daemon.rates import RateMeter
from aerostat.daemon.release import release
from aerostat.daemon.requests import Requests
from aerostat.daemon.rows import Look, Picture, host_rows
from aerostat.daemon.sampler import Sampler, Seen
from aerostat.daemon.snapshot import ReservationRow, Rows, Snapshot
from aerostat.daemon.thinking import Guide, Step, Thinker
from aerostat.engine.accounts import SETTLED
from aerostat.engine.plan import Move, Plan, Reason
from aerostat.engine.settings import Settings
from aerostat.errors import AerostatError
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import Connector

log = logging.getLogger(__name__)

# A close look costs as much as any other; so many balloons are watched at once.
_MOST_MOVERS = 32
# As many guests are named in one sentence.
_MOST_NAMES = 5
# A policy that fails, fails at every tick; it is told so often, seconds.
_TELL_EVERY = 60.0
_WAITING = (Reason.NOT_COVERED, Reason.GROW_DISTRESS, Reason.GROW_NEED)

ReadHost = Callable[[int], HostReading]


class Ticker:
    """All that a tick works with. `seen` is every guest by its key, as of the last tick."""

    def __init__(
        self,
        config: Config,
        connectors: Sequence[Connector],
        *,
        host: ReadHost,
        clock: Clock,
        journal: JournalLike,
        thinker: Thinker,
    ) -> None:
        self.config = config
        self.seen: dict[str, Seen] = {}
        self.orders = Orders()
        self.promises = Promises(config)
        self.logbook = Logbook(clock, journal)
        self.sampler = Sampler(connectors, clock)
        self.requests = Requests(clock, config.request_timeout, self.logbook.ended)
        self.thinker = thinker
        self.read_host = host
        self.pace = Pace(config.interval, thinker.settings.fresh_for)
        self._gaps = Gaps(clock)
        self._clock = clock
        self._journal = journal
        self._host: HostReading | None = None
        self._meters: dict[str, RateMeter] = {}
        self._ticks = 0
        self._told_of_policy = -np.inf

    def change(
        self,
        config: Config,
        connectors: Sequence[Connector],
        settings: Settings,
        guide: Guide | None,
    ) -> None:
        """Go by `config` from the next tick on."""
        self.config = config
        self.thinker.settings = settings
        self.thinker.follow(guide)
        self.promises = Promises(config)
        self.pace = Pace(config.interval, settings.fresh_for)
        self.requests.limit = config.request_timeout
        self.sampler.connect(connectors, config.sample_limit)

    async def tick(self, cycle: int, began: float) -> Snapshot:
        """Do it all once; whatever is raised is a fault of ours.

        `cycle` counts the regular ticks: an early one has the number of that before it. `began` is
        when this one did.
        """
        self.pace.begin(cycle, began)
        if suspended := self._gaps.suspended():
            self._resume(f"the host was suspended for {suspended:.0f} s")
            self.sampler.age(suspended)
            self.thinker.age(suspended)
        if late := self._gaps.late(self.config.interval):
            self._resume(f"nothing was done for {late:.0f} s: the manager was stopped, or starved")
        await self.sampler.look(self.config.sample_limit, self.pace.is_due)
        guests = self.sampler.guests
        self.seen = {seen.info.key: seen for seen in guests}
        now, wall = self._clock.monotonic(), self._clock.wall()
        self._follow(guests, now)
        step = self._think(now, wall, guests)
        if step is not None:
            await self._act(step.plan, now, wall)
        self._ticks += 1
        duration = self._clock.monotonic() - began
        if step is not None:
            self.pace.learn(step)
            self._journal.sample(step.observation, duration, step.thought)
        return self._show(now, wall, duration, guests)

    @property
    def asked(self) -> bool:
        """Whether the newest step has asked a guest for another size."""
        step = self.thinker.last
        return (
            self.config.manage
            and step is not None
            and bool(np.isfinite(step.plan.target_size).any())
        )

    def reservations(self) -> tuple[ReservationRow, ...]:
        """Return the reservations, the oldest first."""
        step = self.thinker.last
        backed = float(step.plan.reserved_backed[0]) if step else 0.0
        return self.orders.reservations.rows(self._clock.monotonic(), backed)

    def releases(self, key: str | None = None) -> list[Move]:
        """Return the moves that give one guest, or all, back what the ledger covers now."""
        if (step := self.thinker.last) is None:
            return []
        moves = release(step.plan, step.observation.hosts, step.observation.guests, only=key)
        return [move for move in moves if move.key in self.seen]

    async def release_all(self) -> None:
        """Give all guests back what the ledger covers, at once, and wait until they were told."""
        for move in self.releases():
            self.requests.send(move, self.seen[move.key])
        await self.requests.finish(self.config.request_timeout)

    async def watch_movers(self) -> bool:
        """Look at the guests whose balloons are on their way; tell whether a tick is due for it.

        It is where memory has come free for which another guest waits.
        """
        if (step := self.thinker.last) is None:
            return False
        before = {key: self._size(key) for key in self.movers()}
        await self.sampler.look_at(before.keys(), self.config.sample_limit)
        freed = any(self._size(key) < size for key, size in before.items())
        return freed and bool(np.isin(step.plan.reason, _WAITING).any())

    def movers(self) -> list[str]:
        """Return the guests whose balloons were asked to move and have not arrived.

        Of many those come first that give most.
        """
        step = self.thinker.last
        if step is None or not self.config.manage:
            return []
        plan = step.plan
        wanted = np.where(np.isnan(plan.target_size), plan.asked, plan.target_size)
        left = {
            plan.keys[row]: float(wanted[row]) - self._size(plan.keys[row])
            for row in np.flatnonzero(np.isfinite(wanted))
        }
        moving = [key for key in sorted(left, key=left.__getitem__) if abs(left[key]) > SETTLED]
        return moving[:_MOST_MOVERS]

    def _size(self, key: str) -> int:
        seen = self.seen.get(key)
        return seen.reading.guest_size if seen and seen.reading else 0

    def _resume(self, text: str) -> None:
        self.logbook.record("resumed", text)
        log.warning("%s", text)
        self.pace.hurry()

    def _follow(self, guests: Sequence[Seen], now: float) -> None:
        """Keep what is remembered between ticks in step with the guests there are."""
        for key in self._meters.keys() - self.seen.keys():
            del self._meters[key]
        self.logbook.forget(self.seen)
        self.requests.forget(self.seen)
        self.promises.forget(self.seen)
        read = [(seen, seen.reading) for seen in guests if seen.reading is not None]
        for seen, reading in read:
            self._meters.setdefault(seen.info.key, RateMeter()).add(reading)
            self.logbook.sized(seen.info.key, reading.guest_size)
        self.orders.follow({seen.info.key: reading.guest_size for seen, reading in read}, now)
        self._end_reservations([seen for seen, _ in read], now)

    def _end_reservations(self, here: Sequence[Seen], now: float) -> None:
        reservations = self.orders.reservations
        if not reservations:
            return
        names = {name for seen in here for name in seen.names}
        for ended in reservations.end_arrived(names):
            self.logbook.record("reservation ended", f"{ended.name}: it is here")
        for ended in reservations.end_expired(now):
            self.logbook.record("reservation ended", f"{ended.name}: its lease is over")

    def _think(self, now: float, wall: float, guests: Sequence[Seen]) -> Step | None:
        """Step the engine; None where that cannot be done now."""
        try:
            self._host = self.read_host(held_by_all(guests))
            self.logbook.solve("host")
        except AerostatError as error:
            self.logbook.say("host", clean_text(error))
        if self._host is None:
            return None
        manage, orders, promises = self.config.manage, self.orders, self.promises
        try:
            step = self.thinker.think(
                now, wall, self._host, guests, promises, orders, manage=manage
            )
            self.logbook.solve("engine")
            self._tell_of_policy(now)
        except Exception as error:  # without a decision the rest of the tick is still worth having
            text = clean_text(f"no decision: {type(error).__name__}: {error}")
            self.logbook.say("engine", text)
            log.debug("step failed", exc_info=True)
            return None
        return step

    def _tell_of_policy(self, now: float) -> None:
        """Say that somebody else's policy failed, now and then; each time it may say otherwise."""
        thinker = self.thinker
        if not thinker.problem:
            self.logbook.solve("policy")
        elif not 0 <= now - self._told_of_policy < _TELL_EVERY:
            self._told_of_policy = now
            name, times = thinker.policy, thinker.failures
            count = "once" if times == 1 else f"{times} times"
            text = f"{name} failed ({count}), and the engine's own decides: {thinker.problem}"
            self.logbook.say("policy", text)

    async def _act(self, plan: Plan, now: float, wall: float) -> None:
        if self.config.manage:
            self.requests.carry_out(plan, self.seen)
            await asyncio.sleep(0)  # lets the requests out before anything is drawn or recorded
            return
        for move in plan.moves():
            self.logbook.observed(move, self.seen[move.key].info.name, now, wall)

    def _show(self, now: float, wall: float, duration: float, guests: Sequence[Seen]) -> Snapshot:
        config, logbook, step = self.config, self.logbook, self.thinker.last
        picture = Picture(
            now=now,
            plan=step.plan if step else None,
            looks=tuple(map(self._look, guests)),
            pins=self.orders.pins.copy(),
            holds=frozenset(self.orders.holds),
            last_moves=logbook.last_moves.copy(),
            accepted=self.requests.accepted.copy(),
            schedule=self.pace.schedule,
        )
        return Snapshot(
            time=now,
            wall=wall,
            mode="manage" if config.manage else "observe",
            tick=self._ticks,
            tick_duration=duration,
            interval=config.interval,
            moves=logbook.moves,
            failures=logbook.failures,
            taken=logbook.taken,
            given=logbook.given,
            journal=self._journal.condition,
            problems=self._problems(),
            reservations=self.reservations(),
            connectors=self.sampler.rows(),
            hosts=host_rows(step.observation.hosts, step.plan) if step else (),
            guests=Rows(len(guests), picture.rows),
        )

    def _look(self, seen: Seen) -> Look:
        info, reading = seen.info, seen.reading
        met = Look(info, seen.connector.name, seen.failures, seen.error)
        if reading is None:
            return met
        promise = self.promises.of(info, reading.max_size)
        return met._replace(reading=reading, promise=promise, rates=self._meters[info.key].rates)

    def _problems(self) -> tuple[str, ...]:
        own = (*self.sampler.problems, *self.logbook.problems, *self.promises.problems())
        never = [seen.info.name for seen in self.seen.values() if seen.error and not seen.reading]
        if not never:
            return own
        names = ", ".join(sorted(never)[:_MOST_NAMES])
        more = f" and {len(never) - _MOST_NAMES} more" if len(never) > _MOST_NAMES else ""
        return (*own, f"have never answered, and are in no account: {names}{more}")
