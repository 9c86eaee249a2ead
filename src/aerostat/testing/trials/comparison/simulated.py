"""The same guests, work and budget in the simulator, under the same policies. Pure but for time."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median

import numpy as np

from aerostat.model.plans import Moment, Plan
from aerostat.model.workload import Step, Workload
from aerostat.simulator.run import simulate
from aerostat.simulator.world import GuestSpec, House
from aerostat.testing.trials.comparison.harm import Score
from aerostat.testing.trials.comparison.inhabitants import SWAP_SIZE, Kind
from aerostat.testing.trials.comparison.rivals import contender
from aerostat.testing.trials.comparison.running import Job
from aerostat.testing.trials.comparison.scenes import GUARANTEE, SIZE, START, WARM_UP
from aerostat.units import MIB

# A jump, to a plan that goes in straight lines.
_JUMP = 0.01
# What the player holds that is not its workload: an interpreter, a pattern and a copy of a chunk.
PLAYER = 24 * MIB


def plan(workload: Workload, seconds: float) -> Plan:
    """Return what a workload wants within `seconds`, as moments."""
    moments: list[Moment] = []
    for at, step, lasts in _steps(workload, seconds):
        leaked = min(step.leak_limit, step.leak_rate * lasts)
        begin = Moment(
            at + min(_JUMP, lasts) if moments else at,
            hold=step.hold + PLAYER,
            read_rate=step.read_rate,
            read_span=step.read_span,
            skew=step.skew,
        )
        moments.append(begin)
        if leaked and leaked == step.leak_limit:
            full = at + step.leak_limit / step.leak_rate
            moments.append(begin._replace(at=full, hold=begin.hold + leaked))
        moments.append(begin._replace(at=at + lasts, hold=begin.hold + leaked))
    return Plan(moments, grow_rate=workload.grow_rate)


def _steps(workload: Workload, seconds: float) -> Iterator[tuple[float, Step, float]]:
    """Give the steps that begin within `seconds`: when, which, and for how long they last."""
    begins = [
        (turn * workload.period if turn else 0.0) + step.at
        for turn in range(int(min(seconds / workload.period, 1e6)) + 1)
        for step in workload.steps
    ]
    within = [at for at in begins if at < seconds]
    for number, at in enumerate(within):
        after = within[number + 1] if number + 1 < len(within) else seconds
        if after > at:
            yield at, workload.steps[number % len(workload.steps)], after - at


def house(job: Job, kinds: Sequence[Kind]) -> House:
    """Return the house of a job. Guests in it cost no memory besides their own."""
    seconds = WARM_UP + job.seconds
    guests = tuple(
        GuestSpec(
            max_size=SIZE,
            plan=plan(workload, seconds),
            swap_size=SWAP_SIZE if kind.swaps else 0,
            # As both devices do, unless they are told not to.
            deflate_on_oom=True,
            guarantee=GUARANTEE,
            # What user-mode Linux and Debian's kernel of the same age send, and newer ones.
            dialect="16" if kind.newer else "10",
        )
        for kind, workload in zip(kinds, job.workloads(len(kinds)), strict=True)
    )
    budget = START * len(kinds)
    return House(job.title, budget, guests, swap_size=budget)


def scores(jobs: Iterable[Job], kinds: Sequence[Kind]) -> dict[str, Score]:
    """Return the median cost of each policy in these jobs, all of one scene.

    Raises `MissingError` where the simulator's compiler is not installed.
    """
    costs: dict[str, list[Score]] = {}
    for job in jobs:
        result = simulate(
            [house(job, kinds)],
            contender(job.policy),
            seconds=WARM_UP + job.seconds,
            warm_up=WARM_UP,
            seed=job.seed,
        )
        kills = float(np.sum(result.guests.oom_kills))
        costs.setdefault(job.policy, []).append((kills, fmean(result.guests.slowdown)))
    return {
        policy: (median(kills for kills, _ in all_of_it), median(cost for _, cost in all_of_it))
        for policy, all_of_it in costs.items()
    }
