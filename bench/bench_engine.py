"""How long a step of the engine takes: against a threshold rule that decides guest by guest.

One host under pressure with 10, 1 000 and 10 000 guests whose demands walk about and whose
balloons obey at once. The step does everything that the manager asks of it: estimates, accounts,
shares, safeguards, a plan. The rival (`bench.threshold_rule`) averages ten samples a guest and
knows neither budget nor shares. Each lives in a world of its own, with the same demands, and only
its decisions are timed. The last figure is the worst moment: the budget is half of what is
permitted, and everybody is moved; it counts the list of moves too, each with its reason in words.
"""

import time
from collections.abc import Iterator
from itertools import cycle

import numpy as np
from bench.harness import Figure, Goal, Measure, in_turns, judge, main
from bench.threshold_rule import RuledGuest, decide

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.units import GIB

_RIVAL = "a threshold rule, guest by guest"

# A manager's tick is a second, most of which belongs to the guests.
_TENTH_OF_TICK = Goal("ours", "<=", 100.0)

# For each number of guests: steps of one measurement, and the goals for one step.
_SCALES = {
    10: (50, (Goal("ours", "<=", 5.0),)),
    1_000: (10, (Goal("ours", "<=", 10.0),)),
    10_000: (4, (Goal("ours", "<=", 20.0), Goal("ratio", "<=", 2.0))),
}

_MAX_SIZE = 4.0 * GIB
_MIN_SIZE = 0.5 * GIB
_BUDGET_SHARE = 0.5

# What the rule goes by instead of a budget: a host with so little free shrinks its guests.
_HOST_FREE_SHARE = 0.1


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure CPU milliseconds a step."""
    repeats = 1 if quick else 9
    for count, (steps, goals) in _SCALES.items():
        demands = _walk(count)
        pairs = in_turns(_engine(demands, steps), _rule(demands, steps), repeats=repeats)
        yield judge(f"engine step, {count} guests", "ms", _RIVAL, pairs, *goals)
    # Once more for the largest.
    pairs = in_turns(_squeeze(demands[0], steps), _rule(demands, steps), repeats=repeats)
    yield judge(f"engine step moving all {count} guests", "ms", _RIVAL, pairs, _TENTH_OF_TICK)


def _walk(count: int, moments: int = 32) -> list[FloatArray]:
    """Return what each guest uses at successive moments, bytes."""
    source = np.random.default_rng(count)
    use = source.uniform(0.1, 0.5, count)
    demands = []
    for _ in range(moments):
        use = np.clip(use + source.normal(0.0, 0.02, count), 0.05, 0.9)
        demands.append(use * _MAX_SIZE)
    return demands


def _engine(demands: list[FloatArray], steps: int) -> Measure:
    count = len(demands[0])
    keys, hosts = _names(count), _host(count)
    moments = cycle(demands)
    sizes = np.full(count, _MAX_SIZE)
    state, now = State.empty(), 0.0

    def measure() -> float:
        nonlocal sizes, state, now
        taken = 0.0
        for _ in range(steps):
            now += 1.0
            guests = _seen(keys, sizes, next(moments), now)
            began = time.process_time()
            state, plan = step(state, now, hosts, guests)
            taken += time.process_time() - began
            sizes = _obeyed(sizes, plan)
        return taken * 1000 / steps

    return measure


def _squeeze(demand: FloatArray, steps: int) -> Measure:
    count = len(demand)
    keys, hosts = _names(count), _host(count)
    full = np.full(count, _MAX_SIZE)
    # The first step of a manager only looks.
    state, _ = step(State.empty(), 1.0, hosts, _seen(keys, full, demand, 1.0))
    guests = _seen(keys, full, demand, 2.0)

    def measure() -> float:
        began = time.process_time()
        for _ in range(steps):
            _, plan = step(state, 2.0, hosts, guests)
            if len(plan.moves()) != count:
                raise RuntimeError("not everybody is moved")
        return (time.process_time() - began) * 1000 / steps

    return measure


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"guest-{row}" for row in range(count))


def _host(count: int) -> Hosts:
    """Return a host that has promised twice what it has."""
    budget = np.array([_BUDGET_SHARE * count * _MAX_SIZE])
    return Hosts.of(("host",), budget=budget, available=np.array([4.0 * GIB]))


def _seen(keys: tuple[str, ...], sizes: FloatArray, demand: FloatArray, now: float) -> Guests:
    """Return the guests as a connector has read them."""
    count = len(keys)
    available = np.maximum(sizes - demand, 0.0)
    statistics = np.full((count, STATISTICS), np.nan)
    statistics[:, [Tag.SWAP_IN, Tag.SWAP_OUT]] = 0.0
    statistics[:, Tag.MAJOR_FAULTS] = np.floor(now * 3)
    statistics[:, Tag.MINOR_FAULTS] = np.floor(now * 1000)
    statistics[:, Tag.TOTAL_MEMORY] = sizes
    statistics[:, Tag.AVAILABLE_MEMORY] = available
    statistics[:, Tag.FREE_MEMORY] = available / 2
    return Guests.of(
        keys,
        max_size=np.full(count, _MAX_SIZE),
        guest_size=sizes,
        held=np.minimum(demand + available / 2, sizes),
        statistics=statistics,
        sample_time=np.full(count, now),
        guarantee=np.full(count, _MIN_SIZE),
        ceiling=np.full(count, _MAX_SIZE),
        shares=np.full(count, 1000.0),
    )


def _obeyed(sizes: FloatArray, plan: Plan) -> FloatArray:
    """Return the sizes once every balloon has done what it was asked."""
    sizes = np.where(np.isnan(plan.target_size), sizes, plan.target_size)
    return np.floor(sizes / PAGE_SIZE) * PAGE_SIZE


def _rule(demands: list[FloatArray], steps: int) -> Measure:
    guests = [RuledGuest(_MAX_SIZE, _MIN_SIZE) for _ in demands[0]]
    moments = cycle([demand.tolist() for demand in demands])

    def measure() -> float:
        taken = 0.0
        for _ in range(steps):
            demand = next(moments)
            began = time.process_time()
            for guest, used in zip(guests, demand, strict=True):
                guest.sample(guest.size, max(0.0, guest.size - used) / 2)
            targets = decide(_HOST_FREE_SHARE, guests)
            taken += time.process_time() - began
            for guest, target in zip(guests, targets, strict=True):
                guest.size = guest.size if target is None else target
        return taken * 1000 / steps

    return measure


if __name__ == "__main__":
    main(run)
