"""Checks of what guests may say: nothing, nonsense, old things. For worlds whose guests can."""

import time
from collections.abc import Mapping

from aerostat.balloon.statistics import Tag
from aerostat.testing.conformance.connectors.world import Can, Checks, World
from aerostat.units import GIB, KIB, MIB

CHECKS = Checks()

_PLAIN: Mapping[int, int] = {
    Tag.SWAP_IN: 4096,
    Tag.SWAP_OUT: 8192,
    Tag.MAJOR_FAULTS: 7,
    Tag.MINOR_FAULTS: 100_000,
    Tag.FREE_MEMORY: 100 * MIB,
    Tag.TOTAL_MEMORY: 480 * MIB,
    Tag.AVAILABLE_MEMORY: 200 * MIB,
    Tag.DISK_CACHES: 90 * MIB,
    Tag.HUGETLB_ALLOCATIONS: 3,
    Tag.HUGETLB_FAILURES: 1,
}

#: What no healthy guest says, each a change of what one does.
IMPOSSIBLE: Mapping[str, Mapping[int, int]] = {
    "more free than there is": {Tag.FREE_MEMORY: 900 * MIB},
    "more in all than its machine has": {Tag.TOTAL_MEMORY: 64 * GIB},
    "less in all than is free": {Tag.TOTAL_MEMORY: KIB},
    "nothing in all": {Tag.TOTAL_MEMORY: 0},
    "nothing at all": dict.fromkeys(_PLAIN, 0),
    "as much as a counter holds": dict.fromkeys(_PLAIN, (1 << 63) - KIB),
    "a counter that went back": {Tag.MAJOR_FAULTS: 0, Tag.SWAP_IN: 0},
}


async def _said(world: World, figures: Mapping[int, int]) -> Mapping[int, int]:
    """Have the guest say this; return what is read of it."""
    began = time.monotonic()
    world.say(figures)
    return (await world.read_after(began)).statistics


@CHECKS.needs(Can.SAY)
async def figures_are_what_was_said(world: World) -> None:
    """See each under its own tag, in bytes or counts, whatever units and names lie between."""
    assert await _said(world, _PLAIN) == _PLAIN


@CHECKS.needs(Can.SAY)
async def what_was_not_said_is_absent(world: World) -> None:
    """See that it is not zero, not the last value, and not the largest number there is."""
    await _said(world, _PLAIN)
    for tag in _PLAIN:
        some = {other: value for other, value in _PLAIN.items() if other != tag}
        assert await _said(world, some) == some
    assert await _said(world, {Tag.FREE_MEMORY: MIB}) == {Tag.FREE_MEMORY: MIB}


@CHECKS.needs(Can.SAY)
async def nonsense_is_passed_on_or_refused(world: World) -> None:
    """See that it changes no size and costs no connection: who reads it judges it."""
    for what, change in IMPOSSIBLE.items():
        figures = {**_PLAIN, **change}
        began = time.monotonic()
        world.say(figures)
        reading = await world.read_after(began)
        assert reading.statistics == figures, what
        assert 0 < reading.guest_size <= reading.max_size == world.max_size
        assert await _said(world, _PLAIN) == _PLAIN


@CHECKS.needs(Can.SAY)
async def a_silent_guests_figures_grow_old(world: World) -> None:
    """See them stay as they were, with the moment when they were made."""
    await _said(world, _PLAIN)
    world.fall_silent()
    last = await world.read()
    for _ in range(3):
        reading = await world.read()
        assert reading.sampled_at == last.sampled_at
        assert reading.statistics == last.statistics
        assert reading.taken_at > last.taken_at


@CHECKS.needs(Can.SAY)
async def the_wall_clock_may_be_set(world: World) -> None:
    """See that figures that are dated a day back, or a year ahead, are as fresh as any."""
    await _said(world, _PLAIN)
    now = int(time.time())
    for second in (now - 86_400, now + 31_536_000, now):
        began = time.monotonic()
        world.say(_PLAIN, at=second)
        reading = await world.read_after(began)
        assert reading.sampled_at is not None
        assert reading.sampled_at <= reading.taken_at


@CHECKS.needs(Can.SAY)
async def figures_from_before_have_no_age(world: World) -> None:
    """See that what was there when a connector came is not shown: it may be of last week."""
    await _said(world, _PLAIN)
    world.fall_silent()
    async with world.another():
        reading = await world.read()
        assert (reading.sampled_at, reading.statistics) == (None, {})
