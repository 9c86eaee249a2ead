"""Runs a policy on modelled guests, under a virtual clock: `simulate`.

Adapter; NumPy, no I/O, no clock of its own. In each tick the hosts' accounts are settled, then the
policy is shown what a manager could see, then the model lets time pass with what it decided. The
policy is the one that the daemon runs. Guests that have not arrived or have left are not shown to
it. It may have, besides what `aerostat.engine.policies.base.Policy` asks:

* ``boots_at(hosts, guests) -> sizes``: which size guests are started with; without it a guest
  starts with an empty balloon;
* ``foretold(foresight) -> Policy``: itself, knowing what is to come
  (`aerostat.simulator.foresight`).

Deterministic: the same arguments give the same bits, and a house fares the same in any company.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from aerostat.engine.observation import Guests, Hosts, IntArray
from aerostat.engine.policies.base import Decided, Policy
from aerostat.errors import UsageError
from aerostat.simulator.foresight import Foresight
from aerostat.simulator.hosts import REMOTE, RESTART, Houses
from aerostat.simulator.population import Population
from aerostat.simulator.recording import Recorder
from aerostat.simulator.results import Result
from aerostat.simulator.sampling import Drivers, Sampler, Sampling
from aerostat.simulator.score import Tally
from aerostat.simulator.world import BLOCK, House, World

Watch = Callable[[float, Hosts, Guests, Decided], None]
"""Is shown each decision: the time, what the policy saw, and what it decided."""
Progress = Callable[[float, float], None]
"""Is told how many guest-seconds are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a simulation runs: everything but who is in it. Seconds."""

    seconds: float
    seed: int = 0
    substep: float = 0.1
    """In which the model lets time pass."""
    tick: float = 1.0
    """In which hosts are settled; policies step at ticks."""
    warm_up: float = 120.0
    """What happens before counts in no mean and no slowdown."""
    sampling: Sampling = field(default_factory=Sampling)
    dialect: str | None = None
    """What all drivers tell; None for what each guest's own does."""
    record: float | None = None
    """Between two moments that are kept as series; None for none."""
    compiled: bool = True
    """Whether the model is compiled; the same comes out without, some hundred times slower."""

    def __post_init__(self) -> None:
        """Check the figures. Raises `UsageError`."""
        if not 0 < self.seconds < inf or not 0 < self.substep <= self.tick < inf:
            raise UsageError("a simulation takes seconds, in ticks, of one or more substeps each")


def simulate(
    houses: Sequence[House],
    policy: Policy,
    *,
    seconds: float,
    seed: int = 0,
    substep: float = 0.1,
    tick: float = 1.0,
    warm_up: float = 120.0,
    dialect: str | None = None,
    period: float = 1.0,
    delay: float = 0.05,
    loss: float = 0.0,
    record: float | None = None,
    compiled: bool = True,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> Result:
    """Return how the guests of these houses fare under a policy.

    Statistics are sampled every `period` seconds, arrive `delay` late, and are lost with
    probability `loss`; `record` is the time between two moments of the series that are kept.
    Raises `UsageError`, and `MissingError` where the compiled model is not installed.
    """
    course = Course(
        seconds=seconds,
        seed=seed,
        substep=substep,
        tick=tick,
        warm_up=warm_up,
        sampling=Sampling(period, delay, loss),
        dialect=dialect,
        record=record,
        compiled=compiled,
    )
    world = World.of(houses)
    parts: list[Result] = []
    done, total = 0.0, seconds * len(world)
    for block in world.blocks(BLOCK):
        parts.append(Run(block, policy, course, watch).finished())
        done += seconds * len(block)
        if progress is not None:
            progress(done, total)
    return Result.gathered(parts)


class Run:
    """One block of houses under a policy, from its beginning to its end."""

    def __init__(
        self, world: World, policy: Policy, course: Course, watch: Watch | None = None
    ) -> None:
        self._world = world
        self._course = course
        self._watch = watch
        self._guests = Population(world)
        self._hosts = Houses(world)
        self._sampler = Sampler(world.identities, course.sampling, course.tick, course.seed)
        self._drivers = Drivers([guest.dialect for guest in world.guests], course.dialect)
        self._tally = Tally(world)
        self._recorder = Recorder(course.record)
        self._policy = self._told(policy)
        self._memory = self._policy.start()
        self._next_step = 0.0
        self._guarantee = world.column("guarantee")
        self._shares = world.column("weight")
        self._silent_from = world.column("silent_from")

    def finished(self) -> Result:
        """Let all time pass, and return what came of it."""
        course = self._course
        ticks = round(course.seconds / course.tick)
        warm = round(min(course.warm_up, course.seconds) / course.tick)
        for number in range(ticks):
            if number == warm:
                self._tally.warm(self._guests.state)
            self._tick(number * course.tick, warm=number >= warm)
        guests = self._tally.guests(self._guests.state)
        return Result(
            policy=self._policy.name,
            seconds=course.seconds,
            guest_steps=len(self._world) * course.seconds / course.substep,
            keys=self._world.keys,
            guests=guests,
            houses=self._tally.houses(guests, self._hosts),
            series=self._recorder.series(),
        )

    def _told(self, policy: Policy) -> Policy:
        """Return the policy, which knows what is to come where it asks for that."""
        foretold = getattr(policy, "foretold", None)
        if foretold is None:
            return policy
        population = self._guests
        told: Policy = foretold(Foresight(self._world.keys, population.plans, population.state))
        return told

    def _tick(self, now: float, *, warm: bool) -> None:
        """Let a tick pass."""
        course, population, hosts, tally = self._course, self._guests, self._hosts, self._tally
        come = population.move_on(now)
        if len(come):
            self._boot(come)
        settled = hosts.settle(population.held(), population.house, course.tick if now else 0.0)
        if len(settled.killed):
            tally.bury(settled.killed, population.state, RESTART)
            population.restart(settled.killed, now + RESTART)
            population.move_on(now)
        self._sample(now)
        if self._next_step <= now:
            self._decide(now)
        held, size = population.held(), population.guest_size()
        tally.watch(course.tick, hosts)
        if warm:
            tally.add(course.tick, size, held, population.present, population.house, hosts)
        self._recorder.keep(now, population, held, tally.lost, hosts)
        count = round(course.tick / course.substep)
        compiled = course.compiled
        lost = population.live(now, settled.stall, course.substep, count, compiled=compiled)
        lost += settled.remote * REMOTE * course.tick * population.present
        tally.lost += np.minimum(lost, course.tick)

    def _sample(self, now: float) -> None:
        population = self._guests
        asked = self._sampler.ask(now, population.present & (now < self._silent_from))
        if asked.any():
            self._sampler.send(now, asked, self._drivers.tell(population.statistics(), now))

    def _decide(self, now: float) -> None:
        """Let the policy step, and ask balloons for what it decides."""
        # A policy that would step more often than there are ticks steps at each; and it steps where
        # nobody is there, too: what it knows of hosts is not to depend on guests of others.
        self._next_step = now + max(self._policy.interval, self._course.tick) - 1e-9
        rows = self._guests.presence.rows
        hosts, guests = self._seen()
        then = now + self._sampler.lag
        self._memory, decided = self._policy.step(self._memory, then, hosts, guests)
        if self._watch is not None:
            self._watch(then, hosts, guests, decided)
        wanted = np.asarray(decided.target_size)
        before = self._guests.target_size[rows]
        target = np.where(np.isnan(wanted), before, np.clip(wanted, 0.0, guests.max_size))
        change = np.zeros(len(self._world))
        change[rows] = target - before
        self._guests.target_size[rows] = target
        self._tally.move(change)

    def _boot(self, rows: IntArray) -> None:
        """Start guests with the sizes that the policy has for them."""
        boots_at = getattr(self._policy, "boots_at", None)
        if boots_at is None:
            return
        sizes = np.zeros(len(self._world))
        sizes[self._guests.presence.rows] = boots_at(*self._seen())
        self._guests.boot(rows, sizes[rows])

    def _seen(self) -> tuple[Hosts, Guests]:
        """Return what a manager sees now. The columns are its own: nothing here changes them."""
        population, hosts = self._guests, self._hosts
        rows, keys, house = population.presence
        state = population.state
        held = population.held()[rows] * hosts.resident_share[house]
        max_size = state.size.copy()[rows]
        count = len(keys)
        return hosts.seen(), Guests(
            keys=keys,
            host=house,
            max_size=max_size,
            guest_size=population.guest_size()[rows],
            held=held,
            statistics=self._sampler.statistics[rows],
            sample_time=self._sampler.time[rows],
            guarantee=self._guarantee[rows],
            ceiling=max_size,
            shares=self._shares[rows],
            managed=np.ones(count, dtype=np.bool_),
            pinned=np.full(count, np.nan),
            block_reads=population.block_reads()[rows],
        )
