"""The rounds of faults that are made in one house: hurt, mend, wait, judge, look for damage.

Touches everything through the house, and the clock.
"""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from aerostat.daemon.snapshot import Snapshot
from aerostat.errors import AerostatError
from aerostat.testing.trials.faults import hands, oracle
from aerostat.testing.trials.faults.audit import Audit
from aerostat.testing.trials.faults.house import GUARANTEE, INTERVAL, Eye, House
from aerostat.testing.trials.faults.oracle import Darkness, Violation
from aerostat.testing.trials.faults.record import Found, Injury, Record
from aerostat.testing.trials.faults.schedule import HOUSEHOLD, Fault
from aerostat.units import MIB, format_size

#: Seconds after which, the last fault over, all has to be well. A libvirt helper that was killed
#: again and again is waited for up to ten.
RECOVERS_WITHIN = 30.0
# A descriptor more is none lost; so many are.
_MOST_DESCRIPTORS = 12
# The witness may grow by so much once it has been met by faults of each kind.
_MOST_GROWTH = 48 * MIB
_WARM_UP = 60
# How long balloons may take in the end to have everything within the budget.
_SETTLES_WITHIN = 60.0
_CHECK_ALL_EVERY = 5
_POLL = 0.05
_PROBE = 0.1
# In these a guest can say nothing, from the beginning to the end.
_SILENT = ("kill-device", "pause-device", "kill-guest", "pause-guest", "hang-monitor")

# What a full disk could not take is dropped, and counted for ever: moves last, so only ticks.
_JOURNAL_IS_WELL = re.compile(r"ok|\d+ samples, 0 notes dropped")

Say = Callable[[str], None]


class Stay:
    """The rounds that are made in one house."""

    def __init__(
        self,
        record: Record,
        house: House,
        say: Say,
        after: Callable[[], None],
        *,
        keep: Path | None,
        settles: bool,
    ) -> None:
        self._settles = settles
        self._record = record
        self._house = house
        self._say = say
        self._keep = keep
        self._after = after
        self._audits = {
            "manager": Audit("manager", house.manager.process.journal, manages=True),
            "witness": Audit("witness", house.witness.process.journal, manages=False),
        }
        self._darkness: list[Darkness] = []
        self._first_descriptors: dict[str, tuple[int, int]] = {}
        self._oom_kills: Counter[str] = Counter()
        self._lag = 0.0
        self._round: tuple[Fault, ...] = ()

    async def live(self, rounds: list[tuple[Fault, ...]]) -> None:
        """Make rounds, taking them from the list, until there are none or the house is lost."""
        probe = asyncio.create_task(self._probe())
        try:
            while rounds:
                self._round = rounds.pop(0)
                if not await self._make(self._round):
                    return
            await self._finish()
        finally:
            probe.cancel()
            await asyncio.wait([probe])

    async def _probe(self) -> None:
        """Measure how late this program gets to run."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_PROBE)
            self._lag = max(self._lag, time.monotonic() - before - _PROBE)

    # One round.

    async def _make(self, faults: tuple[Fault, ...]) -> bool:
        """Make one round; return whether the house can be used for another."""
        record, house = self._record, self._house
        self._lag = 0.0
        self._look()  # so that what follows is this round's
        try:
            injuries = list(await asyncio.gather(*(self._suffer(fault) for fault in faults)))
            await house.mend()
        except (AerostatError, TimeoutError) as error:
            self._find(Violation("recovery", f"it could not be mended: {error}"))
            self._close_round([])
            return False
        record.injuries += injuries
        record.rounds += 1
        well = await self._recover(injuries)
        self._darkness += self._dark(injuries)
        self._judge(injuries)
        await self._read_journals(must_go_on=well)
        if well:
            await self._look_for_damage(injuries)
            self._count()
        for trouble in house.take_troubles():
            self._find(Violation("deaths", trouble))
        self._close_round(injuries)
        return well

    def _dark(self, injuries: Iterable[Injury]) -> Iterator[Darkness]:
        """Yield when which guests could tell nobody anything."""
        starts = {name: one.starts for name, one in self._house.inhabitants.items()}
        for injury in injuries:
            if injury.fault.kind in _SILENT and not injury.missed:
                name = injury.fault.on
                # Another fault's end may have started again what this one had ended.
                again = (at for at in starts[name] if at > injury.began)
                yield Darkness(name, injury.began, min([injury.lifted, *again]))
        for times in starts.values():
            times.clear()

    async def _suffer(self, fault: Fault) -> Injury:
        await asyncio.sleep(fault.at)
        return await self._house.suffer(fault)

    def _befallen(self, fault: Fault) -> Collection[str]:
        """Return the guests that a fault may keep the manager from seeing."""
        if fault.on == "manager":
            return [one.name for one in self._house.residents]
        if fault.on in HOUSEHOLD:
            return [one.name for one in self._house.residents if one.kind == "libvirt"]
        return [fault.on]

    async def _recover(self, injuries: Iterable[Injury]) -> bool:
        """Wait until the managers see all as it was; return whether it came to that."""
        house = self._house
        everybody = [one.name for one in house.residents]
        waiting = [injury for injury in injuries if not injury.missed]
        began = time.monotonic()
        while time.monotonic() < began + RECOVERS_WITHIN:
            for snapshot in house.manager.process.snapshots:
                for injury in waiting:
                    names = self._befallen(injury.fault)
                    if injury.recovered is None and oracle.is_well(snapshot, names, injury.lifted):
                        injury.recovered = snapshot.time
            if all(injury.recovered for injury in waiting) and all(
                self._is_well(eye, everybody, began) for eye in (house.manager, house.witness)
            ):
                return True
            await asyncio.sleep(_POLL)
        late = [str(injury.fault) for injury in waiting if injury.recovered is None]
        for name, eye in (("manager", house.manager), ("witness", house.witness)):
            if not self._is_well(eye, everybody, began):
                late.append(f"the {name}: {_condition(eye.latest)}")
        self._find(Violation("recovery", f"not after {RECOVERS_WITHIN:g} s: {'; '.join(late)}"))
        return False

    def _is_well(self, eye: Eye, names: Collection[str], since: float) -> bool:
        """Tell whether a manager has ticked since then, and all was as ever."""
        latest = eye.latest
        return (
            eye.process.alive
            and latest is not None
            and latest.time > since
            and not latest.problems
            and _JOURNAL_IS_WELL.fullmatch(latest.journal) is not None
            and oracle.is_well(latest, names, latest.time - _oldest(self._lag))
        )

    def _close_round(self, injuries: Iterable[Injury]) -> None:
        record = self._record
        record.lag = max(record.lag, self._lag)
        done = len(record.injuries)
        told = ", ".join(f"{fault.kind} {fault.on}" for fault in self._round)
        took = [one.recovered - one.lifted for one in injuries if one.recovered]
        well = f"well after {max(took):.1f} s" if took else "nothing to recover from"
        self._say(f"{done}/{record.wanted} {told}: {well}; {len(record.found)} broken promises")
        self._after()

    # Judging.

    def _find(self, violation: Violation) -> None:
        self._say(f"BROKEN: {violation.promise}: {violation.what}")
        record, first = self._record, self._round[0].number
        faults = [str(fault) for fault in self._round]
        record.found.append(
            Found(violation.promise, violation.what, faults, first, len(self._round))
        )
        if self._keep is not None and not (self._keep / f"fault-{first}").exists():
            with contextlib.suppress(OSError):
                self._house.keep_logs(self._keep / f"fault-{first}")

    def _find_all(self, violations: Iterable[Violation]) -> None:
        """Take note of violations, a few of each promise: one cause mostly breaks it many times."""
        seen: Counter[str] = Counter()
        for violation in violations:
            seen[violation.promise] += 1
            if seen[violation.promise] <= 3:
                self._find(violation)

    def _look(self) -> dict[str, list[Snapshot]]:
        """Take what the managers said since the last time."""
        house = self._house
        news = {"manager": house.manager.take(), "witness": house.witness.take()}
        for name, snapshots in news.items():
            self._audits[name].hear(snapshots)
        return news

    def _judge(self, injuries: Collection[Injury]) -> None:
        """Hold what the managers showed of the round against the promises."""
        record, news = self._record, self._look()
        limit = _oldest(self._lag)
        befallen = {injury.fault.on for injury in injuries}
        household, hurt = befallen & set(HOUSEHOLD), befallen - set(HOUSEHOLD)
        libvirts = {one.name for one in self._house.residents if one.kind == "libvirt"}
        for name, snapshots in news.items():
            blind = set(hurt)
            if "libvirtd" in household or (name == "manager" and household):
                blind |= libvirts
            if name == "manager" and "manager" in household:
                continue
            untouched = {one.name for one in self._house.residents} - blind
            self._find_all(oracle.neglected(snapshots, untouched, limit))
        record.slowest_tick = max(
            [record.slowest_tick, *(snapshot.tick_duration for snapshot in news["witness"])]
        )

    async def _read_journals(self, *, must_go_on: bool) -> None:
        for name, audit in self._audits.items():
            ticks, moves = audit.ticks, audit.moves
            try:
                if must_go_on and not await audit.goes_on():
                    self._find(Violation("state", f"the journal of the {name} has nothing new"))
                self._find_all(audit.judge(self._darkness))
            except AerostatError as error:
                self._find(Violation("state", f"the journal of the {name}: {error}"))
            self._record.ticks += audit.ticks - ticks
            self._record.moves += audit.moves - moves
        newest = time.monotonic() - 60.0
        self._darkness = [dark for dark in self._darkness if dark.ended > newest]

    async def _look_for_damage(self, injuries: Collection[Injury]) -> None:
        """Look through the memory of who was hurt; of everybody every few rounds."""
        house, record = self._house, self._record
        names = {injury.fault.on for injury in injuries if injury.fault.on not in HOUSEHOLD}
        if record.rounds % _CHECK_ALL_EVERY == 0:
            names = set(house.inhabitants)
        restarts = 0
        for name in sorted(names):
            one = house.inhabitants[name]
            restarts += one.restarts
            if one.restarts:
                one.restarts = 0
                self._oom_kills[name] = 0
            try:
                look, asked = await one.look(), await one.asked_for()
            except AerostatError as error:
                self._find(Violation("deaths", f"{name} does not answer: {error}"))
                continue
            record.checks += 1
            record.checked += look.held
            record.damaged += look.damaged
            if look.damaged:
                what = f"{look.damaged} pieces of {name} are not as they were written"
                self._find(Violation("memory", what))
            if look.killed > self._oom_kills[name]:
                record.oom_kills += look.killed - self._oom_kills[name]
                self._oom_kills[name] = look.killed
                if not one.hurt:
                    self._find(Violation("deaths", f"a program of {name} was killed: no memory"))
            one.hurt = False
            if asked is not None and asked < GUARANTEE:
                self._find(Violation("guarantee", f"{name} is asked for {format_size(asked)}"))
        record.restarts += restarts

    def _count(self) -> None:
        """See that nothing is lost: descriptors, processes, memory."""
        record = self._record
        for name, (process, count) in self._house.descriptors().items():
            first_process, first = self._first_descriptors.setdefault(name, (process, count))
            if first_process != process:  # it was started again
                self._first_descriptors[name] = (process, count)
                continue
            most = record.most_descriptors.get(name, (first, first))
            if count - first >= most[1] - most[0]:
                record.most_descriptors[name] = (first, count)
            if count > first + _MOST_DESCRIPTORS:
                self._find(Violation("leaks", f"{name} has {count} descriptors, {first} at first"))
        if strays := self._house.strays():
            self._find(Violation("leaks", f"processes of nobody: {'; '.join(strays)}"))
        pid = self._house.witness.process.pid
        if pid is not None and (weight := hands.status(pid, "VmRSS")):
            record.witness.append((time.monotonic(), weight))

    # The end.

    async def _finish(self) -> None:
        """See that everything comes to fit the budget, and that the journal can be replayed."""
        house, record = self._house, self._record
        if self._settles:
            await self._settle()
        weights = [weight for _, weight in record.witness[_WARM_UP:]]
        if weights and weights[-1] > weights[0] + _MOST_GROWTH:
            grown = format_size(weights[-1] - weights[0])
            self._find(Violation("leaks", f"the witness has grown by {grown}"))
        await self._read_journals(must_go_on=False)
        await house.manager.process.stop()
        answer = await house.manager.process.run("replay", str(house.manager.process.journal))
        record.replay = (answer.out + answer.err).strip()
        if answer.code:
            self._find(Violation("state", f"replayed, the journal says: {record.replay[:300]}"))

    async def _settle(self) -> None:
        house, record = self._house, self._record
        began = time.monotonic()
        while time.monotonic() - began < _SETTLES_WITHIN:
            latest = house.manager.latest
            permitted = latest.hosts[0].permitted if latest is not None and latest.hosts else None
            if permitted is not None and permitted <= house.budget:
                record.settled = time.monotonic() - began
                break
            await asyncio.sleep(_POLL)
        else:
            self._find(Violation("recovery", "permissions did not come to fit the budget"))


def _oldest(lag: float) -> float:
    """Return how old the figures of a guest may be, in seconds, where we ran `lag` s late."""
    return 5.0 + 2 * INTERVAL + 4 * lag


def _condition(snapshot: Snapshot | None) -> str:
    """Say what is not well."""
    if snapshot is None:
        return "says nothing"
    texts = [*snapshot.problems]
    if not _JOURNAL_IS_WELL.fullmatch(snapshot.journal):
        texts.append(f"journal {snapshot.journal}")
    texts += [
        f"{row.name} {row.condition} {row.error or ''}".strip()
        for row in snapshot.guests
        if row.error or row.sample_age is None
    ]
    texts.append(f"{len(snapshot.guests)} guests in tick {snapshot.tick}")
    return ", ".join(texts)
