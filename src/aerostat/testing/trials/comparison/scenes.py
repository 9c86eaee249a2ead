"""Who does what and when in each scene of the comparison, from a seed. Pure.

A scene gives every guest a workload. The same seed gives the same ones, whoever manages them. For
the first `WARM_UP` seconds nothing is counted: guests that once read much do that then.
"""

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aerostat.model.workload import Step, Workload
from aerostat.units import MIB

#: Every guest has this much memory, in bytes, and is promised so much.
SIZE = 256 * MIB
GUARANTEE = 96 * MIB
#: The house's budget for each of its guests: less than they want together, now and then. They
#: begin with it, so that nobody begins with a house that is over its budget.
START = 160 * MIB
WARM_UP = 12.0

_REST = 8 * MIB
_GROW_RATE = 16 * MIB
_READ_RATE = 24 * MIB
_SPAN = 112 * MIB
_SKEW = 1.5

Make = Callable[[random.Random, int, float], list[Workload]]


class Scene(NamedTuple):
    """One kind of life in the house."""

    name: str
    title: str
    make: Make
    """Takes chance, how many guests there are, and for how many seconds they work."""

    def workloads(self, seed: int, count: int, seconds: float) -> list[Workload]:
        """Return what each guest does in a run with this seed."""
        chance = random.Random(f"{self.name} {seed}")  # noqa: S311 - a script, not a secret
        return self.make(chance, count, seconds)


def _turns(chance: random.Random, count: int, seconds: float) -> list[Workload]:
    """Work moves on from guest to guest; three have it at a time."""
    order = list(range(count))
    chance.shuffle(order)
    turn = seconds / 5
    workloads = []
    for place in order:
        works = {(place + ahead) % count for ahead in (0, 3, 6)[: max(1, count * 3 // 8)]}
        steps = tuple(
            Step(_at(number * turn), 104 * MIB if number % count in works else _REST)
            for number in range(6)
        )
        workloads.append(Workload("turns", steps, grow_rate=_GROW_RATE))
    return workloads


def _bursts(chance: random.Random, count: int, seconds: float) -> list[Workload]:
    """Nearly nothing, and at once very much for some seconds; each at its own times."""
    del seconds
    workloads = []
    for place in range(count):
        # Spread over the period, each somewhere in its own part: no more than three coincide.
        part = 24.0 / count
        at = round(place * part + chance.uniform(0, part), 1)
        steps = (Step(0, _REST), Step(at, 120 * MIB), Step(at + 6, _REST))
        workloads.append(Workload("bursts", steps, period=30.0, grow_rate=2 * _GROW_RATE))
    return _shuffled(chance, workloads)


def _files(chance: random.Random, count: int, seconds: float) -> list[Workload]:
    """Half of the guests read files again and again; the others did, and their cache is stale."""
    del seconds
    reading = Step(WARM_UP - 8, _REST, read_rate=_READ_RATE, read_span=_SPAN, skew=_SKEW)
    stale = Step(0, _REST, read_rate=2 * _READ_RATE, read_span=_SPAN)
    reads = Workload("reads", (Step(0, _REST), reading))
    has_read = Workload("has read", (stale, Step(WARM_UP - 4, _REST)))
    return _shuffled(chance, [reads if place % 2 else has_read for place in range(count)])


def _sandboxes(chance: random.Random, count: int, seconds: float) -> list[Workload]:
    """All are idle, but wake up for a while now and then; one leaks."""
    workloads = []
    for place in range(count - 1):
        first = WARM_UP + (place / count + chance.uniform(0, 1 / count)) * seconds * 0.45
        steps = [Step(0, 2 * _REST)]
        for at in (first, first + seconds * 0.5):
            steps.append(Step(at, 96 * MIB, read_rate=_READ_RATE, read_span=48 * MIB, skew=1.0))
            steps.append(Step(at + 8, 2 * _REST))
        workloads.append(Workload("sandbox", tuple(steps), grow_rate=_GROW_RATE))
    leaks = Step(0, _REST, leak_rate=2 * MIB, leak_limit=96 * MIB)
    workloads.append(Workload("leak", (leaks,)))
    return _shuffled(chance, workloads)


def _mixed(chance: random.Random, count: int, seconds: float) -> list[Workload]:
    """Have some of each."""
    makes = (_turns, _bursts, _files, _sandboxes)
    workloads = [
        make(chance, count, seconds)[place // len(makes)] for place, make in _dealt(makes, count)
    ]
    return _shuffled(chance, workloads)


def _dealt(makes: tuple[Make, ...], count: int) -> list[tuple[int, Make]]:
    return [(place, makes[place % len(makes)]) for place in range(count)]


def _at(seconds: float) -> float:
    """Return when something happens, in the time that begins with the warm-up."""
    return 0.0 if seconds == 0 else WARM_UP + seconds


def _shuffled(chance: random.Random, workloads: list[Workload]) -> list[Workload]:
    chance.shuffle(workloads)
    return workloads


SCENES: Mapping[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene("turns", "working sets that move from guest to guest", _turns),
        Scene("bursts", "short bursts in one guest after the other", _bursts),
        Scene("files", "files read again and again beside stale caches", _files),
        Scene("sandboxes", "idle guests that wake up, and a leak", _sandboxes),
        Scene("mixed", "some of each", _mixed),
    )
}
