"""The loop: look at the guests, step the engine, carry out its plan, show and record the tick.

One tick never waits for a guest that hangs, for the disk or for a view. Without `manage` in the
configuration nothing is ever changed. Touches guests through connectors, the host through the
function it is given, and the files through `Journal` and `SaveFile`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from aerostat.daemon.clock import Clock, SystemClock, wait_for_all
from aerostat.daemon.columns import guest_columns, held_by_all, host_columns
from aerostat.daemon.config import Config
from aerostat.daemon.journal import JournalLike, NoJournal
from aerostat.daemon.journal_file import Event
from aerostat.daemon.names import clean_text
from aerostat.daemon.rates import RateMeter
from aerostat.daemon.recording import Observation, Thought
from aerostat.daemon.release import release
from aerostat.daemon.requests import ACCEPTED, Request, Requests
from aerostat.daemon.rows import Picture, host_rows
from aerostat.daemon.sampler import Sampler, Seen
from aerostat.daemon.savefile import SaveFile
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.plan import Move, Plan
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.errors import AerostatError, UsageError
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import Connector
from aerostat.units import format_size

log = logging.getLogger(__name__)

# How much a killed manager may forget.
_SAVE_EVERY = 10.0
# What the API can tell of the past without asking the journal.
_RECENT_MOVES = 1000
# A manager that only observes would move a guest every tick; it says so this often.
_OBSERVED_EVERY = 10.0
_CLOSE_LIMIT = 2.0

OBSERVED = "observed"

Watcher = Callable[[Snapshot, Sequence[MoveRow]], None]


class Manager:
    """One manager of one host.

    `host` is given the bytes that all guests hold and returns the host's figures. `watchers` are
    called after each tick with its snapshot and the moves that ended since the last one.
    """

    def __init__(
        self,
        config: Config,
        connectors: Sequence[Connector],
        *,
        host: Callable[[int], HostReading],
        clock: Clock | None = None,
        journal: JournalLike | None = None,
        save_file: SaveFile | None = None,
        settings: Settings | None = None,
        host_name: str = "localhost",
    ) -> None:
        self.config = config
        self.watchers: list[Watcher] = []
        self.snapshot: Snapshot | None = None
        self.recent_moves: deque[MoveRow] = deque(maxlen=_RECENT_MOVES)
        self._clock = clock or SystemClock()
        self._journal = journal or NoJournal()
        self._save_file = save_file
        self._settings = settings or Settings()
        self._read_host = host
        self._host_name = host_name
        self._sampler = Sampler(connectors, self._clock)
        self._requests = Requests(self._clock, config.request_timeout, self._request_ended)
        self._stopping = asyncio.Event()
        self._state = State.empty()
        self._pins: dict[str, int] = {}
        self._seen: dict[str, Seen] = {}
        self._host: HostReading | None = None
        self._thought: tuple[Plan, Hosts, Guests] | None = None
        self._step: Thought | None = None
        self._meters: dict[str, RateMeter] = {}
        self._sizes: dict[str, int] = {}
        self._last_moves: dict[str, MoveRow] = {}
        self._fresh_moves: list[MoveRow] = []
        self._problems: dict[str, str] = {}
        self._saved = self._clock.monotonic()
        self._ticks = self._moves = self._failures = self._taken = self._given = 0

    # What others may ask.

    def stop(self) -> None:
        """Ask the manager to end; `run` returns when it has."""
        self._stopping.set()

    def explain(self, key: str) -> str:
        """Return in a sentence what is done with a guest, and why. Raises `UsageError`."""
        seen = self._seen.get(key)
        if seen is None:
            raise UsageError(f"no such guest: {clean_text(key)}")
        if self._thought is None or key not in self._thought[0].keys:
            return f"{seen.info.name} cannot be read: {seen.error or 'it has not answered yet'}"
        return f"{seen.info.name} {self._thought[0].explain(key)}"

    def set_target(self, key: str, size: int | None) -> None:
        """Pin a guest to `size` bytes until it is called with None. Raises `UsageError`."""
        if not self.config.manage:
            raise UsageError("this manager only observes; start it with --manage to change sizes")
        if size is None:
            self._pins.pop(key, None)
            return
        seen = self._seen.get(key)
        if seen is None or seen.reading is None:
            raise UsageError(f"{clean_text(key)} has not answered yet; its sizes are not known")
        name, most = seen.info.name, seen.reading.max_size
        promise = self.config.promise(name, key, most)
        if not promise.managed:
            raise UsageError(f"{name} is not managed; the configuration exempts it")
        if not promise.guarantee <= size <= promise.ceiling:
            least, most = format_size(promise.guarantee), promise.ceiling
            raise UsageError(f"{name} can be set from {least} to {format_size(most)}")
        self._pins[key] = size

    # The loop.

    async def run(self) -> None:
        """Manage until `stop` is called."""
        if self._save_file is not None:
            self._state, self._pins = self._save_file.load()
        self._record("started", "manages" if self.config.manage else "observes")
        try:
            await self._sampler.start(self.config.sample_limit)
            while not self._stopping.is_set():
                began = self._clock.monotonic()
                await self._guarded_tick(began)
                await self._rest(began + self.config.interval)
        finally:
            await self._end()

    async def _rest(self, until: float) -> None:
        # Counted from the tick's beginning: one that took too long is not made up for by a burst.
        stopped = asyncio.ensure_future(self._stopping.wait())
        await wait_for_all(self._clock, [stopped], max(0.0, until - self._clock.monotonic()))
        stopped.cancel()

    async def _guarded_tick(self, began: float) -> None:
        try:
            await self._tick(began)
            self._solve("tick")
        except Exception as error:  # a fault of ours must not leave squeezed guests alone for ever
            self._say("tick", clean_text(f"not finished: {type(error).__name__}: {error}"))
            log.debug("tick failed", exc_info=True)

    async def _tick(self, began: float) -> None:
        await self._sampler.look(self.config.sample_limit)
        guests = self._sampler.guests
        self._seen = {seen.info.key: seen for seen in guests}
        now, wall = self._clock.monotonic(), self._clock.wall()
        self._follow(guests)
        plan = self._think(now, guests)
        if plan is not None and self.config.manage:
            self._requests.carry_out(plan, self._seen)
            await asyncio.sleep(0)  # lets the requests out before anything is drawn or recorded
        elif plan is not None:
            self._observe(plan, now, wall)
        self._ticks += 1
        duration = self._clock.monotonic() - began
        if plan is not None and self._thought is not None:
            _, hosts, columns = self._thought
            names = tuple(self._seen[key].info.name for key in columns.keys)
            seen = Observation(now, wall, hosts, columns, names)
            self._journal.sample(seen, duration, self._step)
        self._publish(now, wall, duration, guests)
        if now - self._saved >= _SAVE_EVERY:
            self._save(now)

    def _follow(self, guests: Sequence[Seen]) -> None:
        """Keep what is remembered between ticks in step with the guests there are."""
        for remembered in (self._meters, self._sizes, self._last_moves):
            for key in remembered.keys() - self._seen.keys():
                del remembered[key]
        self._requests.forget(self._seen)
        for seen in guests:
            if (reading := seen.reading) is None:
                continue
            key, size = seen.info.key, reading.guest_size
            meter = self._meters.setdefault(key, RateMeter())
            meter.add(reading.sampled_at, reading.statistics)
            change = size - self._sizes.get(key, size)
            self._given += max(change, 0)
            self._taken += max(-change, 0)
            self._sizes[key] = size

    def _think(self, now: float, guests: Sequence[Seen]) -> Plan | None:
        """Step the engine; None where that cannot be done now."""
        try:
            self._host = self._read_host(held_by_all(guests))
            self._solve("host")
        except AerostatError as error:
            self._say("host", clean_text(error))
        if self._host is None:
            return None
        hosts = host_columns(self._host_name, self._host)
        columns = guest_columns(guests, self.config, self._pins, now)
        try:
            state, plan = step(self._state, now, hosts, columns, self._settings)
            self._solve("engine")
        except Exception as error:  # without a decision the rest of the tick is still worth having
            self._say("engine", clean_text(f"no decision: {type(error).__name__}: {error}"))
            log.debug("step failed", exc_info=True)
            return None
        before, manage = self._state, self.config.manage
        self._state = state if manage else _unasked(state)
        self._thought = plan, hosts, columns
        self._step = Thought(before, self._state, plan, self._settings, manage)
        return plan

    def _observe(self, plan: Plan, now: float, wall: float) -> None:
        for move in plan.moves():
            last = self._last_moves.get(move.key)
            same = last is not None and last.reason == move.reason.name.lower()
            if last is None or not same or now - last.time >= _OBSERVED_EVERY:
                name = self._seen[move.key].info.name
                self._remember(_row(move, name, now, wall, OBSERVED))

    def _request_ended(self, request: Request) -> None:
        row = _row(request.move, request.name, request.sent, request.wall, request.outcome)
        last = self._last_moves.get(row.key)
        if row.outcome == ACCEPTED:
            self._moves += 1
        else:
            self._failures += 1
            if last is not None and (last.to_size, last.outcome) == (row.to_size, row.outcome):
                return  # the same failure again: counted, and said once
            log.warning("%s: %s: %s", row.key, row.sentence, row.outcome)
        self._remember(row)

    def _remember(self, row: MoveRow) -> None:
        self._last_moves[row.key] = row
        self.recent_moves.append(row)
        self._fresh_moves.append(row)
        self._journal.note(row)

    def _publish(self, now: float, wall: float, duration: float, guests: Sequence[Seen]) -> None:
        last = self.snapshot or Snapshot(now, wall, interval=self.config.interval)
        shown_hosts, shown_guests = last.hosts, last.guests
        if self._thought is not None:
            plan, hosts, _ = self._thought
            picture = Picture(
                now=now,
                config=self.config,
                plan=plan,
                rates={key: meter.rates for key, meter in self._meters.items()},
                pins=self._pins,
                last_moves=self._last_moves,
                accepted=self._requests.accepted,
            )
            shown_hosts, shown_guests = host_rows(hosts, plan), picture.guests(guests)
        self.snapshot = replace(
            last,
            time=now,
            wall=wall,
            mode="manage" if self.config.manage else "observe",
            tick=self._ticks,
            tick_duration=duration,
            hosts=shown_hosts,
            guests=shown_guests,
            moves=self._moves,
            failures=self._failures,
            taken=self._taken,
            given=self._given,
            journal=self._journal.condition,
            problems=self._all_problems(),
        )
        moves, self._fresh_moves = self._fresh_moves, []
        for watcher in tuple(self.watchers):
            try:
                watcher(self.snapshot, moves)
            except Exception:  # a broken view is left out; the guests matter more
                log.exception("a view failed, and is not shown any more")
                self.watchers.remove(watcher)

    def _all_problems(self) -> tuple[str, ...]:
        saving = [self._save_file.problem] if self._save_file else []
        texts = [*self._sampler.problems, *self._problems.values(), *saving]
        return tuple(text for text in texts if text)

    def _say(self, what: str, text: str) -> None:
        if self._problems.get(what) != text:
            log.warning("%s: %s", what, text)
            self._record("problem", f"{what}: {text}")
        self._problems[what] = text

    def _solve(self, what: str) -> None:
        self._problems.pop(what, None)

    def _record(self, kind: str, text: str) -> None:
        self._journal.note(Event(self._clock.monotonic(), self._clock.wall(), kind, text))

    def _save(self, now: float) -> None:
        self._saved = now
        if self._save_file is not None:
            self._save_file.save(self._state, self._pins)

    async def _end(self) -> None:
        await self._requests.finish(self.config.request_timeout)
        if self.config.manage and self.config.on_exit == "release" and self._thought is not None:
            for move in release(*self._thought):
                if move.key in self._seen:
                    self._requests.send(move, self._seen[move.key])
            await self._requests.finish(self.config.request_timeout)
        if self._save_file is not None:
            self._save_file.finish(_CLOSE_LIMIT)
            self._save(self._clock.monotonic())
            self._save_file.finish(_CLOSE_LIMIT)
        await self._sampler.close(_CLOSE_LIMIT)
        self._record("stopped", self.config.on_exit)


def _row(move: Move, name: str, time: float, wall: float, outcome: str) -> MoveRow:
    return MoveRow(
        key=move.key,
        name=name,
        from_size=move.from_size,
        to_size=move.to_size,
        reason=move.reason.name.lower(),
        sentence=move.sentence,
        time=time,
        wall=wall,
        outcome=outcome,
    )


def _unasked(state: State) -> State:
    """Return `state` without what the plan would have asked: an observer asks for nothing.

    Otherwise the engine would take guests that never moved for stuck.
    """
    never = np.full(len(state.keys), np.nan)
    return replace(
        state,
        asked=never,
        asked_time=never,
        granted=np.zeros(len(state.keys)),
        taking_held=never,
        gain_due=never,
    )
