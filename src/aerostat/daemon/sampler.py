"""Looking at every guest at once, so that one that hangs delays nobody.

Each connector is asked in a task of its own. Guests that answered last time (the prompt lane)
are waited for, within a limit; those that did not (the slow lane) are sampled aside, and what
they say is used when it comes. A round that is still under way is never started a second time.
Talks to connectors only.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace

from aerostat.daemon.clock import Clock, wait_for_all
from aerostat.daemon.lingering import LINGER, Absent, Remembered
from aerostat.daemon.names import clean_key, clean_name, clean_text
from aerostat.daemon.snapshot import ConnectorRow
from aerostat.errors import AerostatError
from aerostat.hypervisors.base import Connector, GuestInfo, Reading

log = logging.getLogger(__name__)

# No machine has more; keeps every figure exact in the engine's float64 columns.
_LARGEST_SIZE = 1 << 53

# A connector gets this part of the round's limit, so that it can answer within it.
_CONNECTOR_PART = 0.8

IsDue = Callable[[str], bool]


@dataclass(slots=True, eq=False)
class Seen:
    """One guest and the newest that is known of it.

    `info` has a clean key and name; `raw_key` is the connector's own. `error` says why the
    newest attempt to read it failed, "" if it did not.
    """

    info: GuestInfo
    raw_key: str
    connector: Connector
    reading: Reading | None = None
    error: str = ""
    failures: int = 0

    @property
    def names(self) -> set[str]:
        """All that the guest is called: its name, its key, its UUID."""
        names = {self.info.name, self.info.key}
        return names if self.info.uuid is None else names | {self.info.uuid}

    def take(self, answer: Reading | AerostatError | None) -> None:
        """Take in what the connector answered."""
        error = _fault(answer)
        if error:
            self.failures += 1
            if not self.error:  # said once, however long it lasts
                log.warning("%s: cannot be read: %s", self.info.key, error)
        elif self.error:
            log.info("%s: answers again", self.info.key)
        self.error = error
        if isinstance(answer, Reading) and not error:
            self.reading = answer


def _fault(answer: Reading | AerostatError | None) -> str:
    if answer is None:
        return "the connector does not know it"
    if isinstance(answer, AerostatError):
        return clean_text(answer) or type(answer).__name__
    if not 0 < answer.max_size <= _LARGEST_SIZE or not 0 <= answer.guest_size <= answer.max_size:
        return "its sizes cannot be true"
    if answer.held is not None and not 0 <= answer.held <= _LARGEST_SIZE:
        return "what it holds cannot be true"
    return ""


class _Source:
    """One connector: the guests it knows, and its two lanes.

    `recall` returns what was last read of a guest that it has just found, if anything.
    """

    def __init__(self, connector: Connector, recall: Callable[[str], Reading | None]) -> None:
        self.connector = connector
        self._recall = recall
        self.guests: dict[str, Seen] = {}
        self.prompt: asyncio.Task[None] | None = None
        self.slow: asyncio.Task[None] | None = None
        self.since = 0.0
        self.error = ""
        self.left_out = 0
        self.started = False
        # Of each guest what the connector said, so that it is made clean once and not each time.
        self._told: dict[str, tuple[GuestInfo, Seen]] = {}

    @property
    def tasks(self) -> list["asyncio.Task[None]"]:
        return [task for task in (self.prompt, self.slow) if task is not None]

    async def start(self) -> None:
        """Start the connector."""
        self.started = True
        await self._guarded(self.connector.start())

    async def close(self) -> None:
        """Close the connector."""
        await self._guarded(self.connector.close())

    def begin(self, now: float, limit: float, is_due: IsDue) -> None:
        """Start a round in each lane that has none under way."""
        if self.prompt is None or self.prompt.done():
            self.since = now
            self.prompt = asyncio.create_task(self._guarded(self._round(limit, is_due)))
        failing = [seen for seen in self.guests.values() if seen.error]
        if failing and (self.slow is None or self.slow.done()):
            self.slow = asyncio.create_task(self._guarded(self._sample(failing, limit)))

    async def look_at(self, keys: Collection[str], limit: float) -> None:
        """Read these guests now, unless something is wrong or under way."""
        if self.prompt is None or self.prompt.done():
            guests = [seen for key, seen in self.guests.items() if key in keys and not seen.error]
            await self._guarded(self._sample(guests, limit))

    async def _round(self, limit: float, is_due: IsDue) -> None:
        self._meet(await self.connector.guests())
        due = [seen for seen in self.guests.values() if not seen.error and is_due(seen.info.key)]
        await self._sample(due, limit)
        self.error = ""

    async def _sample(self, guests: Sequence[Seen], limit: float) -> None:
        if not guests:
            return
        answers = await self.connector.sample([seen.raw_key for seen in guests], limit)
        for seen in guests:
            seen.take(answers.get(seen.raw_key))

    async def _guarded(self, lane: Coroutine[None, None, None]) -> None:
        try:
            await lane
        except AerostatError as error:
            self._fail(clean_text(error))
        except Exception as error:  # a fault of one connector must cost only its own guests
            self._fail(clean_text(f"{type(error).__name__}: {error}"))
            log.debug("%s", self.connector.name, exc_info=True)

    def problem(self, now: float) -> str:
        """Return what is wrong with the connector itself, "" for nothing."""
        texts = []
        if self.error:
            texts.append(self.error)
        elif self.prompt is not None and not self.prompt.done():
            texts.append(f"no answer for {now - self.since:.1f} s")
        if self.left_out:
            why = "left out guests whose keys are too long or not unique"
            texts.append(f"{why}: {self.left_out}")
        return "; ".join(texts)

    def _fail(self, error: str) -> None:
        if error != self.error:
            log.warning("connector %s: %s", self.connector.name, error)
        self.error = error

    def _meet(self, infos: Iterable[GuestInfo]) -> None:
        """Take over the list of guests: new ones in, those that are gone out."""
        met: dict[str, Seen] = {}
        left_out = 0
        before, self._told = self._told, {}
        for info in infos:
            same = before.get(info.key)
            if same is not None and same[0] == info and same[1].info.key not in met:
                self._told[info.key] = same
                met[same[1].info.key] = same[1]
                continue
            key = clean_key(info.key)
            if key is None or key in met:
                left_out += 1
                continue
            known = self.guests.get(key)
            clean = info._replace(
                key=key, name=clean_name(info.name), source=clean_name(info.source)
            )
            if known is None:
                known = Seen(clean, info.key, self.connector, self._recall(key))
                log.info("%s: found (%s)", key, clean.name)
            known.info = clean
            met[key] = known
            self._told[info.key] = info, known
        for key in self.guests.keys() - met.keys():
            log.info("%s: gone", key)
        self.guests = met
        self.left_out = left_out


class Sampler:
    """All connectors together."""

    def __init__(self, connectors: Sequence[Connector], clock: Clock) -> None:
        self._sources = [_Source(connector, self._recall) for connector in connectors]
        self._clock = clock
        self._lingering: dict[str, tuple[Seen, float]] = {}
        self._asides: set[asyncio.Task[None]] = set()

    @property
    def connectors(self) -> list[Connector]:
        """The connectors there are."""
        return [source.connector for source in self._sources]

    @property
    def guests(self) -> list[Seen]:
        """Return every guest there is; where two connectors give the same key, the first one's."""
        seen: dict[str, Seen] = {}
        for source in self._sources:
            for key, guest in source.guests.items():
                seen.setdefault(key, guest)
        now = self._clock.monotonic()
        for key, (guest, until) in list(self._lingering.items()):
            if key in seen or until <= now:
                del self._lingering[key]
            else:
                seen[key] = guest
        return list(seen.values())

    def linger(self, guests: Iterable[Remembered]) -> None:
        """Have guests of the last manager here until a connector has found them (`lingering`)."""
        now = self._clock.monotonic()
        for guest in guests:
            self._linger(Seen(guest.info, guest.raw_key, Absent(), guest.reading(now)))

    def remembered(self) -> list[Remembered]:
        """Return what the next manager should know of the guests."""
        return [
            Remembered(
                *(seen.info.key, seen.raw_key, seen.info.name, seen.info.source, seen.info.uuid),
                *(reading.max_size, reading.guest_size, reading.held),
            )
            for seen in self.guests
            if (reading := seen.reading) is not None
        ]

    def _linger(self, guest: Seen) -> None:
        guest.connector, guest.error = Absent(), "not found yet"
        self._lingering[guest.info.key] = guest, self._clock.monotonic() + LINGER

    def _recall(self, key: str) -> Reading | None:
        guest, _ = self._lingering.get(key, (None, 0.0))
        return guest.reading if guest else None

    @property
    def problems(self) -> list[str]:
        """Return what is wrong with the connectors themselves."""
        rows = self.rows()
        return [f"connector {row.name}: {row.problem}" for row in rows if row.problem]

    def rows(self) -> tuple[ConnectorRow, ...]:
        """Return what is shown of the connectors."""
        now = self._clock.monotonic()
        return tuple(
            ConnectorRow(
                name=source.connector.name,
                guests=len(source.guests),
                problem=source.problem(now) or None,
                helper_restarts=_helper_restarts(source.connector),
            )
            for source in self._sources
        )

    async def start(self, limit: float) -> None:
        """Start the connectors, together, and wait at most `limit` seconds for them."""
        await self._start(self._sources, limit)

    async def look(self, limit: float, is_due: IsDue = lambda _: True) -> None:
        """Bring what is known of the guests that are due up to date, within `limit` seconds.

        `is_due` is given a guest's key.
        """
        now = self._clock.monotonic()
        for source in self._sources:
            source.begin(now, limit * _CONNECTOR_PART, is_due)
        prompt = [source.prompt for source in self._sources if source.prompt is not None]
        await wait_for_all(self._clock, prompt, limit)

    async def look_at(self, keys: Collection[str], limit: float) -> None:
        """Bring what is known of these guests up to date, within `limit` seconds."""
        looks = [
            asyncio.create_task(source.look_at(keys, limit * _CONNECTOR_PART))
            for source in self._sources
            if keys & source.guests.keys()
        ]
        await wait_for_all(self._clock, looks, limit)
        for look in looks:
            look.cancel()

    def age(self, seconds: float) -> None:
        """Have all that was sampled be older by `seconds`: the host was suspended."""
        for guest in self.guests:
            if guest.reading is not None and guest.reading.sampled_at is not None:
                made = guest.reading.sampled_at - seconds
                guest.reading = replace(guest.reading, sampled_at=made)

    def connect(self, connectors: Sequence[Connector], limit: float) -> None:
        """Have these connectors from now on, without waiting for those that start or end.

        Those that are here already keep their connections.
        """
        here = {id(source.connector): source for source in self._sources}
        self._sources = [
            here.pop(id(made)) if id(made) in here else _Source(made, self._recall)
            for made in connectors
        ]
        for source in here.values():
            for guest in source.guests.values():
                self._linger(guest)
        fresh = [source for source in self._sources if not source.started]
        self._aside(self._start(fresh, limit))
        self._aside(self._close(list(here.values()), limit))

    async def close(self, limit: float) -> None:
        """End what is under way and close the connectors, waiting at most `limit` seconds."""
        await self._close(self._sources, limit)
        await wait_for_all(self._clock, self._asides, limit)

    async def _start(self, sources: Sequence[_Source], limit: float) -> None:
        tasks = [asyncio.create_task(source.start()) for source in sources]
        await wait_for_all(self._clock, tasks, limit)

    async def _close(self, sources: Sequence[_Source], limit: float) -> None:
        tasks = [task for source in sources for task in source.tasks]
        for task in tasks:
            task.cancel()
        closing = [asyncio.create_task(source.close()) for source in sources]
        await wait_for_all(self._clock, [*tasks, *closing], limit)
        for task in closing:
            task.cancel()

    def _aside(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)


def _helper_restarts(connector: Connector) -> int | None:
    """Return how often a connector's helper was started again; None where it has none."""
    starts = getattr(connector, "counters", {}).get("helpers")
    return None if starts is None else max(starts - 1, 0)
