"""Checks of what becomes of a guest: it hangs, is paused, reboots, goes; the connector closes."""

import time
from functools import partial

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Reading
from aerostat.testing.conformance.connectors.world import (
    PATIENCE,
    Can,
    Checks,
    World,
    refused,
)
from aerostat.testing.polling import until

CHECKS = Checks()

# How long a sample may take while a monitor hangs, in seconds, at most.
_SHORT = 1.0


@CHECKS.needs(Can.MOVE, Can.LAST)
async def closing_leaves_the_size(world: World) -> None:
    """See that a manager that ends takes nothing, and gives nothing back."""
    async with world.another():
        await world.move(world.small_size)
    assert await world.size() == world.small_size
    assert (await world.read()).guest_size == world.small_size


@CHECKS.needs(Can.PERIOD)
async def closing_puts_the_period_back(world: World) -> None:
    """See that what a connector sets in order to have figures is not left behind."""
    await world.connector.close()
    found = await world.period()
    async with world.another():
        if Can.STATISTICS in world.can:
            await world.read_until(lambda reading: bool(reading.statistics))
        await world.connector.close()
        assert await world.period() == found


@CHECKS.needs(Can.HANG)
async def a_hung_monitor_costs_its_own_guest(world: World) -> None:
    """See that others are read in the same call; it is back when its monitor is."""
    await world.read()
    await world.read(world.other)
    with world.hang():
        # For a moment a connector may tell what is known, and be held up with the others.
        await until(partial(_only_other_is_read, world), within=PATIENCE)
        assert await _only_other_is_read(world)
        limit = min(_SHORT, world.limit)
        target = world.connector.set_target(world.key, world.small_size, limit)
        await refused(AerostatError, target)
        await world.connector.guests()
    await world.read()
    await world.move(world.max_size)  # the target may have come through after all


async def _only_other_is_read(world: World) -> bool:
    limit = min(_SHORT, world.limit)
    answers = await world.connector.sample([world.key, world.other], limit)
    read = {key for key, answer in answers.items() if isinstance(answer, Reading)}
    return read == {world.other}


@CHECKS.needs(Can.PAUSE, Can.STATISTICS)
async def the_figures_of_a_paused_guest_grow_old(world: World) -> None:
    """See them stay as they are, and get older; sizes are read. Fresh ones follow."""
    await world.read_after(time.monotonic())
    with_figures = await world.read()
    async with world.paused():
        paused_at = time.monotonic()
        for _ in range(3):
            reading = await world.read()
            assert reading.guest_size == with_figures.guest_size
            assert (reading.sampled_at or 0.0) <= paused_at
            assert reading.taken_at > paused_at
        resumed_at = time.monotonic()
    await world.read_after(resumed_at)


@CHECKS.needs(Can.REBOOT, Can.STATISTICS)
async def a_guest_that_reboots_is_read_again(world: World) -> None:
    """See its counters begin anew, and its figures as fresh as before."""
    if Can.MOVE in world.can:
        await world.move(world.small_size)
    await world.read_after(time.monotonic())
    await world.reboot()
    up_at = time.monotonic()
    reading = await world.read_after(up_at)
    assert reading.statistics
    if Can.LOOK_INSIDE in world.can:
        now = (await world.counters())["vmstat"]["pgfault"]
        assert reading.statistics[Tag.MINOR_FAULTS] <= now
    await world.move(world.max_size)


@CHECKS.needs(Can.PLUG)
async def plugged_memory_is_a_new_maximum(world: World) -> None:
    """See it while the guest runs: it may change at any time."""
    assert (await world.read()).max_size == world.max_size
    more = await world.plug()
    reading = await world.read_until(lambda reading: reading.max_size == more)
    assert reading.guest_size <= more
    world.max_size = more


@CHECKS.needs(Can.LEAVE)
async def guests_go_and_come(world: World) -> None:
    """See that one that has gone is not listed, and an error to who asks; it may come again."""
    await world.read()

    async def is_listed(*, wanted: bool) -> bool:
        keys = [guest.key for guest in await world.connector.guests()]
        return (world.key in keys) is wanted

    await world.leave()
    await until(partial(is_listed, wanted=False), within=PATIENCE)
    answer = (await world.connector.sample([world.key], world.limit))[world.key]
    assert isinstance(answer, LinkError)
    await world.come()
    await until(partial(is_listed, wanted=True), within=PATIENCE)
    await world.read()
