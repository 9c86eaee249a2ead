"""Checks of what any connector promises of any guest: lists, readings, targets, refusals."""

import contextlib
import time

from aerostat.balloon.statistics import Tag
from aerostat.errors import LinkError, UsageError
from aerostat.hypervisors.base import Reading
from aerostat.testing.conformance.connectors.world import Can, Checks, World, refused
from aerostat.units import MIB

CHECKS = Checks()

# What Linux has sent since 4.x, whatever the hypervisor shows.
_LINUX = (
    Tag.SWAP_IN,
    Tag.SWAP_OUT,
    Tag.MAJOR_FAULTS,
    Tag.MINOR_FAULTS,
    Tag.FREE_MEMORY,
    Tag.TOTAL_MEMORY,
    Tag.AVAILABLE_MEMORY,
    Tag.DISK_CACHES,
)
# Between two looks at an idle guest its free memory hardly changes.
_IDLE = 8 * MIB


@CHECKS.needs()
async def guests_are_listed(world: World) -> None:
    """See each guest listed once, by a key that lasts and a name that can be shown."""
    await world.read()
    guests = await world.connector.guests()
    keys = [guest.key for guest in guests]
    assert keys.count(world.key) == 1
    assert len(keys) == len(set(keys))
    (guest,) = (guest for guest in guests if guest.key == world.key)
    assert guest.name == world.name
    assert guest.source
    assert [guest.key for guest in await world.connector.guests()] == keys


@CHECKS.needs()
async def every_key_is_answered(world: World) -> None:
    """See that a guest that is not there is an error, and that the others do not notice."""
    await world.read()
    unknown = f"{world.key}-that-is-not-there"
    answers = await world.connector.sample([world.key, unknown], world.limit)
    assert answers.keys() == {world.key, unknown}
    assert isinstance(answers[world.key], Reading)
    assert isinstance(answers[unknown], LinkError)
    assert await world.connector.sample([], world.limit) == {}


@CHECKS.needs()
async def sizes_are_bytes_that_are_left_to_the_guest(world: World) -> None:
    """See that they are not KiB, not pages, and not what the balloon holds."""
    reading = await world.read()
    assert reading.key == world.key
    assert reading.max_size == world.max_size
    assert reading.guest_size == await world.size()
    assert reading.held is None or 0 < reading.held < 4 * world.max_size


@CHECKS.needs(Can.MOVE)
async def a_target_is_what_the_guest_keeps(world: World) -> None:
    """See it go down, and up again; what comes of it shows to others, too."""
    smaller = await world.move(world.small_size)
    assert smaller.max_size == world.max_size
    assert await world.size() == world.small_size
    await world.move(world.max_size)
    assert await world.size() == world.max_size


@CHECKS.needs(Can.MOVE)
async def nothing_is_above_the_maximum(world: World) -> None:
    """See that a target that is larger is refused, or means the maximum."""
    with contextlib.suppress(LinkError):
        await world.connector.set_target(world.key, 2 * world.max_size, world.limit)
    reading = await world.read()
    assert reading.guest_size <= reading.max_size == world.max_size
    assert await world.size() <= world.max_size


@CHECKS.needs()
async def impossible_targets_are_refused(world: World) -> None:
    """See that they are the caller's fault, and that the guest does not hear of them."""
    before = await world.size()
    for size in (0, -1, -world.max_size):
        await refused(UsageError, world.connector.set_target(world.key, size, world.limit))
    await refused(LinkError, world.connector.set_target("nobody", world.max_size, world.limit))
    assert await world.size() == before


@CHECKS.needs()
async def one_that_only_observes_changes_no_size(world: World) -> None:
    """See that it reads sizes as well as any."""
    async with world.another(read_only=True) as connector:
        reading = await world.read()
        before = await world.size()
        assert (reading.max_size, reading.guest_size) == (world.max_size, before)
        await refused(UsageError, connector.set_target(world.key, world.small_size, world.limit))
        assert (await connector.examine(world.key, world.limit)).may_change is False
        assert await world.size() == before


@CHECKS.needs(Can.STATISTICS)
async def figures_are_fresh_and_dated(world: World) -> None:
    """See that they are dated after the question and before they came; newer ones follow."""
    began = time.monotonic()
    first = await world.read_after(began)
    assert first.sampled_at is not None
    assert began < first.sampled_at <= first.taken_at <= time.monotonic()
    assert first.way == "queue"
    second = await world.read_after(first.taken_at)
    assert second.sampled_at is not None
    assert first.taken_at < second.sampled_at <= second.taken_at


@CHECKS.needs(Can.LOOK_INSIDE)
async def figures_are_the_guests_own(world: World) -> None:
    """See them in bytes and counts, each under the name that its kernel has for it."""
    before = await world.counters()
    reading = await world.read_after(time.monotonic())
    after = await world.counters()
    statistics = reading.statistics
    assert set(_LINUX) <= statistics.keys()
    assert statistics[Tag.TOTAL_MEMORY] == before["meminfo"]["MemTotal"]
    assert abs(statistics[Tag.FREE_MEMORY] - after["meminfo"]["MemFree"]) < _IDLE
    assert abs(statistics[Tag.AVAILABLE_MEMORY] - after["meminfo"]["MemAvailable"]) < _IDLE
    faults = statistics[Tag.MINOR_FAULTS]
    assert before["vmstat"]["pgfault"] <= faults <= after["vmstat"]["pgfault"]
    assert statistics[Tag.MAJOR_FAULTS] <= after["vmstat"]["pgmajfault"]
    assert statistics[Tag.SWAP_IN] == statistics[Tag.SWAP_OUT] == 0


@CHECKS.needs(Can.LOOK_INSIDE, Can.MOVE)
async def total_memory_means_what_the_guest_says(world: World) -> None:
    """See it stay with deflate-on-OOM, and shrink without: no connector mends it."""
    before = (await world.counters())["meminfo"]["MemTotal"]
    await world.move(world.small_size)
    inside = (await world.counters())["meminfo"]["MemTotal"]
    stays = world.setup.get("deflate_on_oom", True)
    assert inside == (before if stays else before - (world.max_size - world.small_size))
    reading = await world.read_until(
        lambda reading: reading.statistics.get(Tag.TOTAL_MEMORY) == inside
    )
    assert reading.guest_size == world.small_size


@CHECKS.needs(Can.READ_DISKS)
async def reads_from_disks_are_counted(world: World) -> None:
    """See them in bytes, all disks together."""
    before = await world.read_until(lambda reading: reading.block_reads is not None)
    assert before.block_reads is not None
    size = await world.read_disk()
    least = before.block_reads.bytes + size
    after = await world.read_until(
        lambda reading: reading.block_reads is not None and reading.block_reads.bytes >= least
    )
    assert after.block_reads is not None
    if before.block_reads.requests is not None:
        assert after.block_reads.requests is not None
        assert after.block_reads.requests > before.block_reads.requests


@CHECKS.needs(Can.EXAMINE)
async def examining_tells_the_truth_and_changes_nothing(world: World) -> None:
    """See that what is said of the set-up is so; what is not known is None."""
    await world.read_until(lambda reading: bool(reading.statistics) or "driver" not in world.setup)
    before = await world.size()
    found = await world.connector.examine(world.key, world.limit)
    assert {field: getattr(found, field) for field in world.setup} == dict(world.setup)
    assert found.key == world.key
    assert found.may_change is True
    assert all(found.mending.values())
    assert await world.size() == before
    await refused(LinkError, world.connector.examine("nobody", world.limit))
