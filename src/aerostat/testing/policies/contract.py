"""Checks of what any policy must be: pure, columnar, able to survive what guests tell.

Each check takes a policy and raises `Broken`, which says how it was broken, or whatever the policy
raises. Without these a policy can neither be simulated nor be replayed.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import fields
from unittest import mock

import numpy as np

from aerostat.engine.observation import FloatArray
from aerostat.engine.policies.base import Policy
from aerostat.testing.policies.stage import (
    Broken,
    Player,
    Shown,
    Stage,
    alone,
    damaged,
    sizes_of,
    some,
    watch,
)
from aerostat.units import MIB

_STEPS = 20
"""Of a film."""
_NEAR = 64 * 1024
"""Sums in another order differ in their last bits, and a size is rounded to a page."""
_OUTSIDE = (
    "builtins.open",
    "os.open",
    "os.urandom",
    "random.random",
    "socket.socket",
    "subprocess.Popen",
    "time.monotonic",
    "time.time",
)
_IMPOSSIBLE = (np.nan, np.inf, -np.inf, -1.0, 0.0, 2.0**64 - 1, 1e300)


def film(policy: Policy) -> list[Shown]:
    """Return what a policy is shown of three hosts whose guests' needs rise and fall."""
    rng = np.random.default_rng(7)
    stage = Stage([[1024, 512, 2048], [1024, 1024], [256, 512, 768]], [2500, 1200, 1400])
    player = Player(policy, stage)
    for _ in range(_STEPS):
        stage.use = stage.max_size * np.clip(
            stage.use / stage.max_size + rng.normal(0, 0.08, len(stage.use)), 0.1, 0.9
        )
        stage.cache = stage.max_size * rng.uniform(0, 0.3, len(stage.use))
        player.step()
    return player.film


def answers(policy: Policy) -> None:
    """Check that there is a size or NaN for each guest, and a sentence."""
    memory = policy.start()
    for shown in film(policy):
        memory, decided = policy.step(memory, *shown)
        if np.isinf(sizes_of(decided, shown)).any():
            raise Broken("an infinite size; NaN is for nothing to ask")
        for row in range(len(shown.guests)):
            sentence: object = decided.sentence(row)
            if not isinstance(sentence, str) or not sentence.strip() or "\n" in sentence:
                raise Broken(f"{sentence!r} is no sentence")


def is_pure(policy: Policy) -> None:
    """Check that the same arguments give the same answer, are not changed, and nothing is read."""
    shown = film(policy)
    memory, once = policy.start(), []
    with _nothing_outside():
        for moment in shown:
            before = copy.deepcopy((moment, memory))
            after, decided = policy.step(memory, *moment)
            again, as_well = policy.step(memory, *moment)
            _same(
                [decided.target_size], [as_well.target_size], "the same arguments, another answer"
            )
            if not _unchanged(moment, before[0]):
                raise Broken("it changes what it is shown")
            once.append(np.array(decided.target_size))
            memory = after if len(once) % 2 else again
        _same(once, watch(policy, shown), "the same film, other decisions")


def hosts_are_apart(policy: Policy) -> None:
    """Check that a host among others fares as it does alone."""
    shown = film(policy)
    together = watch(policy, shown)
    for host in range(len(shown[0].hosts)):
        rows = shown[0].guests.host == host
        by_itself = watch(policy, [alone(moment, host) for moment in shown])
        _same([each[rows] for each in together], by_itself, "alone it decides otherwise", _NEAR)


def order_is_nothing(policy: Policy) -> None:
    """Check that the order of guests changes nothing."""
    shown = film(policy)
    order = np.random.default_rng(3).permutation(len(shown[0].guests)).tolist()
    other = watch(policy, [some(moment, order) for moment in shown])
    one = [each[order] for each in watch(policy, shown)]
    _same(one, other, "in another order it decides otherwise", _NEAR)


def guests_come_and_go(policy: Policy) -> None:
    """Check that guests may come, go, and come back, all of them too."""
    shown = film(policy)
    everybody = list(range(len(shown[0].guests)))
    casts = [everybody, everybody[1:], everybody[::-2], [], everybody[2:3], everybody]
    part = [some(moment, casts[step % len(casts)]) for step, moment in enumerate(shown)]
    watch(policy, part)


def survives_what_is_not_known(policy: Policy) -> None:
    """Check that it survives figures that are missing."""
    shown = film(policy)
    rows = len(shown[0].guests)
    nothing = np.full(rows, np.nan)
    for missing in (
        {"statistics": np.full_like(shown[0].guests.statistics, np.nan)},
        {"statistics": _without(shown[0], 6, 7, *range(8, 16)), "block_reads": nothing},
        {"sample_time": nothing},
        {"held": nothing},
    ):
        _within(policy, [damaged(moment, **missing) for moment in shown])


def survives_nonsense(policy: Policy) -> None:
    """Check that one guest's impossible figures neither end it nor cost anybody the guarantee."""
    shown = film(policy)
    for value in _IMPOSSIBLE:
        spoilt = []
        for moment in shown:
            statistics = moment.guests.statistics.copy()
            statistics[1] = value
            held = moment.guests.held.copy()
            held[1] = value
            spoilt.append(damaged(moment, statistics=statistics, held=held))
        _within(policy, spoilt)


def _without(shown: Shown, *tags: int) -> FloatArray:
    statistics = shown.guests.statistics.copy()
    statistics[:, list(tags)] = np.nan
    return statistics


def _within(policy: Policy, shown: Sequence[Shown]) -> None:
    """Check that whatever is decided is a size that a guest may have."""
    with np.errstate(all="ignore"):
        targets = watch(policy, shown)
    for moment, target in zip(shown, targets, strict=True):
        guests = moment.guests.sane()
        asked = ~np.isnan(target)
        low = asked & (target < guests.guarantee)
        if low.any():
            row = int(np.argmax(low))
            size, least = target[row] / MIB, guests.guarantee[row] / MIB
            raise Broken(f"{guests.keys[row]} is asked for {size:.0f} MiB of {least:.0f} MiB")
        if (asked & (target > np.maximum(guests.ceiling, guests.guest_size) + 1)).any():
            raise Broken("a guest is asked for more than its ceiling")


@contextlib.contextmanager
def _nothing_outside() -> Iterator[None]:
    """Have whatever reads a clock, a file or chance raise."""
    with contextlib.ExitStack() as stack:
        for name in _OUTSIDE:
            outside = Broken(f"it uses {name}")
            stack.enter_context(mock.patch(name, side_effect=outside))
        yield


def _unchanged(shown: Shown, before: Shown) -> bool:
    return shown.now == before.now and all(
        np.array_equal(
            getattr(one, each.name), getattr(other, each.name), equal_nan=each.name not in _PLAIN
        )
        for one, other in ((shown.hosts, before.hosts), (shown.guests, before.guests))
        for each in fields(one)
    )


_PLAIN = {"names", "keys"}


def _same(
    one: Sequence[FloatArray], other: Sequence[FloatArray], how: str, near: float = 0.0
) -> None:
    for step, (first, second) in enumerate(zip(one, other, strict=True)):
        alike = np.isclose(first, second, rtol=0.0, atol=near, equal_nan=True)
        if not alike.all():
            row = int(np.argmin(alike))
            sizes = f"{first[row] / MIB:.1f} and {second[row] / MIB:.1f} MiB"
            raise Broken(f"{how}: at step {step} {sizes} for a guest")
