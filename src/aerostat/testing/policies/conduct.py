"""Checks of what a policy does to guests and to their host.

Each check plays a short scene on a stage of guests that obey, and raises `Broken` where a promise
is, or whatever the policy raises. A policy alone need not keep all of them: under the engine's
safeguards every policy keeps those that are called safety.
"""

from collections.abc import Sequence

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS
from aerostat.engine.policies.base import Policy
from aerostat.engine.settings import Settings
from aerostat.testing.policies.contract import film
from aerostat.testing.policies.stage import Broken, Player, Stage, Step
from aerostat.units import MIB, format_size

_SETTINGS = Settings()
_DROP = 1.0 * MIB
"""A change that is worth no word."""


def within_bounds(policy: Policy) -> None:
    """Check that no target is below a guarantee, nor above a ceiling."""
    stage = Stage([[1024, 1024, 512], [2048, 256]], [900, 800])
    stage.guarantee[:2] = 0.6 * stage.max_size[:2]
    stage.ceiling[3] = stage.size[3] = 0.7 * stage.max_size[3]
    player = Player(policy, stage)
    for turn in range(6):
        stage.use = stage.max_size * (0.15 if turn % 2 else 0.85)
        for step in player.play(20):
            _check_bounds(step)


def _check_bounds(step: Step) -> None:
    guests = step.shown.guests
    asked = ~np.isnan(step.target)
    low = asked & (step.target < guests.guarantee)
    if low.any():
        _fail(step, low, "{key} is asked for {target}, and {guarantee} is guaranteed")
    high = asked & (step.target > np.maximum(guests.ceiling, guests.guest_size) + 1)
    if high.any():
        _fail(step, high, "{key} is offered {target}, above its ceiling")


def gives_at_once(policy: Policy) -> None:
    """Check that a guest in distress gets its share within three steps, from what is spare."""
    stage = _squeezed()
    player = Player(policy, stage)
    player.play(10)
    stage.use[0] = 0.9 * stage.max_size[0]
    steps = [player.step() for _ in range(3)]
    due = 0.95 * min(stage.entitlement[0], float(stage.use[0]))
    if stage.size[0] < due:
        after = format_size(float(stage.size[0]))
        at_most = 3 * policy.interval
        raise Broken(
            f"it has {after} after {at_most:g} s, {format_size(due)} is due; "
            f"{steps[-1].decided.sentence(0)}"
        )


def _squeezed() -> Stage:
    """Return a host with much to spare, one of whose guests has little."""
    stage = Stage([[1024, 1024, 1024]], [2400])
    stage.size = np.array([320.0, 640.0, 640.0]) * MIB
    stage.use = np.array([250.0, 250.0, 250.0]) * MIB
    return stage


def takes_slowly(policy: Policy) -> None:
    """Check the rate at which guests are shrunk: by what they use slowly, by what lies free faster.

    The first is four times as high where the host is in danger.
    """
    stage = Stage([[2048, 2048, 2048]], [3600])
    player = Player(policy, stage)
    elapsed = min(policy.interval, _SETTINGS.longest_tick)
    held_back, at_once = _SETTINGS.shrink_rate * elapsed, _SETTINGS.loose_rate * elapsed
    for turn in range(4):
        stage.use[turn % 3] = 0.85 * stage.max_size[0]
        for step in player.play(10):
            urgent = step.shown.guests.held.sum() > stage.budget[0]
            most = held_back * stage.max_size * (_SETTINGS.survival_factor if urgent else 1.0)
            free = np.nan_to_num(step.shown.guests.statistics[:, Tag.FREE_MEMORY], nan=0.0)
            most = np.maximum(most, np.minimum(free, at_once * stage.max_size))
            fast = step.taken > most + _DROP
            if fast.any():
                share = float((step.taken / stage.max_size).max())
                raise Broken(f"{share:.0%} of a guest's maximum is taken in one step")
        stage.use[turn % 3] = 0.2 * stage.max_size[0]


def stops_at_harm(policy: Policy) -> None:
    """Check that a guest that feels the want of memory is not shrunk while the host is in none."""
    stage = Stage([[1024, 1024, 1024]], [2200])
    player = Player(policy, stage)
    player.play(10)
    stage.use[1] = stage.size[1]
    for _ in range(8):
        stage.use[1] = stage.size[1]  # it wants all that it has, and a little more
        stage.use[2] = 0.8 * stage.max_size[2]
        step = player.step()
        if step.taken[1] > _DROP and step.shown.guests.held.sum() <= stage.budget[0]:
            _fail(step, step.taken > _DROP, "{key} suffers, and gives {taken}", row=1)


def nothing_in_the_dark(policy: Policy) -> None:
    """Check that a guest that falls silent is not shrunk, and under contention not below its share.

    A minute later its last figures are worth nothing.
    """
    for budget, contended in ((6000, False), (1500, True)):
        stage = Stage([[1024, 1024, 1024]], [budget])
        player = Player(policy, stage)
        player.play(10)
        stage.silent[0] = True
        stage.now += 60.0
        for turn in range(4):
            if contended:
                stage.use[1:] = (0.9 if turn % 2 else 0.6) * stage.max_size[1:]
            for step in player.play(10):
                least = stage.entitlement[0] if contended else np.inf
                if step.taken[0] > _DROP and step.target[0] < least - _DROP:
                    _fail(step, step.taken > _DROP, "{key} is silent, and gives {taken}", row=0)


def only_on_need(policy: Policy) -> None:
    """Check that nothing is taken where everybody can have everything."""
    stage = Stage([[1024, 512], [2048]], [4000, 4000])
    for step in Player(policy, stage).play(60):
        taken = step.taken > _DROP
        if taken.any():
            _fail(step, taken, "{key} gives {taken} that nobody needs")


def nothing_twice(policy: Policy) -> None:
    """Check that permissions, once within the budget, never grow beyond it.

    A shrink frees nothing until it has happened, and a balloon that is stuck frees nothing at all.
    Only a guest in distress goes before that, up to its share.
    """
    stage = Stage([[1024, 1024, 1024, 1024]], [2400])
    stage.size = np.full(4, 580.0) * MIB
    player = Player(policy, stage)
    for turn in range(9):
        stage.stuck[3] = turn > 0
        stage.use = np.full(4, 0.2) * stage.max_size
        stage.use[turn % 3] = 0.9 * stage.max_size[0]
        for step in player.play(8):
            _check_permissions(step, stage)


def _check_permissions(step: Step, stage: Stage) -> None:
    before = np.maximum(step.shown.guests.guest_size, step.asked)
    # What a guest in distress gets up to its share is counted as if it had had it.
    due = np.where(step.suffered, np.maximum(before, stage.entitlement), before)
    after = float(
        np.where(step.permitted <= due, np.minimum(step.permitted, before), step.permitted).sum()
    )
    if after > max(float(before.sum()), float(stage.budget[0])) + _DROP:
        beyond = format_size(after - float(stage.budget[0]))
        raise Broken(f"guests may use {beyond} more than the budget")


def claims_gain_nothing(policy: Policy) -> None:
    """Check that a guest that says it has nothing costs nobody what it needs of its share."""
    stage = Stage([[1024, 1024, 1024]], [1800])
    stage.use = np.array([0.2, 0.45, 0.45]) * stage.max_size
    player = Player(policy, stage)
    player.play(30)
    due = np.minimum(stage.entitlement, stage.use)
    lie = np.full(STATISTICS, np.nan)
    lie[[Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES]] = 0.0
    short = 0
    for turn in range(40):
        lie[[Tag.SWAP_IN, Tag.SWAP_OUT, Tag.MAJOR_FAULTS, Tag.ALLOC_STALLS]] = 1e4 * turn
        stage.lies[0] = lie.copy()
        player.step()
        short += bool((stage.size < 0.97 * due)[1:].any())
    if short > 3:
        raise Broken(f"beside a liar an honest guest has less than it uses, {short} of 40 times")


def leaves_what_frees_nothing(policy: Policy) -> None:
    """Check that a guest whose balloon frees nothing of the host is left alone in the end."""
    stage = Stage([[1024, 1024, 1024]], [2400])
    stage.locked[0] = True
    player = Player(policy, stage)
    player.play(120)
    before = float(stage.size[0])
    player.play(120)
    if stage.size[0] < before - _DROP:
        lost = format_size(before - float(stage.size[0]))
        raise Broken(f"after two minutes without gain another {lost} are taken")


def rests(policy: Policy) -> None:
    """Check that steady guests are left in peace: little motion, and few requests."""
    for budget in (4000, 1600):
        stage = Stage([[1024, 1024, 1024]], [budget])
        stage.use = np.array([0.2, 0.3, 0.4]) * stage.max_size
        stage.cache = 0.1 * stage.max_size
        player = Player(policy, stage)
        player.play(180)
        steps = player.play(120)
        sizes = np.array([step.shown.guests.guest_size for step in steps])
        way = np.abs(np.diff(sizes, axis=0)).sum(axis=0) / stage.max_size
        if (way > 0.1).any():
            raise Broken(f"the size of a steady guest moves by {way.max():.0%} in two minutes")
        requests = sum(~np.isnan(step.target) & (step.target != step.asked) for step in steps)
        if np.max(requests) > 12:
            raise Broken(f"a steady guest is sent {np.max(requests)} requests in two minutes")


def explains(policy: Policy) -> None:
    """Check that guests that fare differently are told different things."""
    shown = film(policy)
    memory, told, moved = policy.start(), set(), 0
    for moment in shown:
        memory, decided = policy.step(memory, *moment)
        for row in np.flatnonzero(~np.isnan(decided.target_size)).tolist():
            told.add(decided.sentence(row))
            moved += 1
    if moved > 5 and len(told) == 1:
        raise Broken(f"of {moved} moves all are explained by {told.pop()!r}")


def _fail(
    step: Step, rows: Sequence[bool] | np.ndarray, words: str, row: int | None = None
) -> None:
    """Raise `Broken` about the first of these rows."""
    row = int(np.argmax(rows)) if row is None else row
    guests = step.shown.guests
    raise Broken(
        words.format(
            key=guests.keys[row],
            target=format_size(max(float(np.nan_to_num(step.target[row])), 0.0)),
            guarantee=format_size(float(guests.guarantee[row])),
            taken=format_size(float(step.taken[row])),
        )
        + f" ({step.decided.sentence(row)})"
    )
