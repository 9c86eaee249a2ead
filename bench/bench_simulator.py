"""How fast the simulator is: guests and substeps a second on one core, with our policy.

Some thousand steady guests in houses of fourteen, which is about what a host of 16 GiB holds; ticks
of a second, in each of which the policy decides, substeps of a tenth. Only the passing of time is
counted, in CPU seconds: neither making the guests nor compiling the model. The rival is the same
with fixed sizes, so that the ratio is what our policy costs; then the model that is compiled
against the same functions as Python runs them, among few guests.
"""

import time
from collections.abc import Callable, Iterator

from bench.harness import Figure, Goal, Measure, in_turns, judge, main

from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.base import Policy
from aerostat.engine.policies.static import Static
from aerostat.simulator.run import Course, Run
from aerostat.simulator.setting import Setting
from aerostat.simulator.world import House, World

_PER_HOUSE = 14
_DIFFERENT = 16  # houses; the others are as one of these

_FAST = Goal("ours", ">=", 5.0)


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure millions of guest-substeps a CPU second."""
    seconds = 30.0 if quick else 120.0
    repeats = 1 if quick else 5
    many = _world(8192 // _PER_HOUSE, seconds)
    pairs = in_turns(
        _speed(many, Aerostat, seconds), _speed(many, Static, seconds), repeats=repeats
    )
    name = f"simulator, {len(many)} guests"
    yield judge(name, "million guest-substeps/s", "fixed sizes", pairs, _FAST)
    few = _world(10, seconds)
    compiled = _speed(few, Static, seconds)
    plain = _speed(few, Static, seconds / 10, compiled=False)
    pairs = in_turns(compiled, plain, repeats=repeats)
    goal = Goal("ratio", ">=", 20.0)
    yield judge(
        "simulator's model, compiled", "million guest-substeps/s", "not compiled", pairs, goal
    )


def _world(houses: int, seconds: float) -> World:
    setting = Setting("steady", seeds=tuple(range(1, _DIFFERENT + 1)), seconds=seconds)
    kinds = [setting.house(seed, _PER_HOUSE) for seed in setting.seeds]
    return World.of(
        [
            House(f"house {row}", kind.budget, kind.guests, swap_size=kind.swap_size)
            for row, kind in enumerate(kinds[row % _DIFFERENT] for row in range(houses))
        ]
    )


def _speed(
    world: World, policy: Callable[[], Policy], seconds: float, *, compiled: bool = True
) -> Measure:
    course = Course(seconds, warm_up=10.0, compiled=compiled)

    def measure() -> float:
        simulation = Run(world, policy(), course)
        began = time.process_time()
        result = simulation.finished()
        return result.guest_steps / (time.process_time() - began) / 1e6

    return measure


if __name__ == "__main__":
    main(run)
