"""What a guest keeps of files: how much that is, and what it is worth.

**How much** there is, a driver with ten tags says itself: its kernel's own estimate of available
memory counts what could be dropped. Of one with six only free memory is known, and files look like
use. So what is *in use* is followed from what can be seen: what is taken while memory is free and
was not read from the disk is taken by programs; while none is free, programs can have taken no more
than their faults say; and what becomes free without the balloon's doing they gave back. At first
sight all counts as in use.

**What it is worth** shows in reads from the disk. A guest's page cache is worth keeping as far as
reads grow when it shrinks; a stream of files gains nothing by any amount of memory. So as long as
more is read than *must* be, a guest's files are soon worth all that there is of them, and more of
them are kept, as fast as a cache can fill; and what is read still after that much memory was given
for it is put down as what must be read anyway, and is not when reads fall after all. Where not all
can have it, files are given memory in proportion to what is read beyond that: what another page
saves is not known, but where more is missed, more can be saved. What it is worth and what must be
read are both forgotten, and so tried again: the former slowly, the latter as soon as less is read.
A cache of which reads have shown it lately comes before one that was worth as much once: whether
that still is shows when some of it is taken.
"""

from typing import NamedTuple

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import BoolArray, FloatArray, Guests, known_or
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


class Files(NamedTuple):
    """One row a guest."""

    idle: FloatArray
    """What the guest could give, by what it says or by what is made of it, bytes."""
    mapped: FloatArray
    """Files in constant use: their kernel calls them available, but they are read back at once."""
    programs: FloatArray
    """What programs and the kernel are thought to use where the guest does not say, else NaN."""
    worth: FloatArray
    """How much of what could be given should be kept for files, bytes."""
    worth_time: FloatArray
    """When reads last showed it, monotonic seconds; NaN for never."""
    more: FloatArray
    """What is read beyond what must be, bytes a second, now."""
    block_reads: FloatArray
    """What it had read from its disks when that was last told, ..."""
    reads_time: FloatArray
    """... and when that was: it is told less often than the rest."""
    read_rate: FloatArray
    """What it reads from them lately, bytes a second."""
    read_floor: FloatArray
    """What of that it must read, whatever it is given."""
    read_owed: FloatArray
    """By how much reads should fall yet for what was given lately: so much of the floor is a
    guess."""

    def pull(self, settings: Settings) -> FloatArray:
        """Return what goes to files by: what each guest reads beyond what it must, bytes a second.

        Those that read nothing now are given what is left.
        """
        beyond = np.maximum(self.read_rate - self.read_floor, 0.0) + settings.reads_worth
        return known_or(beyond, settings.reads_unseen)


def follow_files(
    state: State,
    guests: Guests,
    statistics: FloatArray,
    new: BoolArray,
    made: FloatArray,
    settings: Settings,
) -> Files:
    """Return what is known of each guest's files.

    `statistics` are the last plausible ones, `new` says where they are new, and `made` when.
    """
    reads = _follow_reads(state, guests, statistics, new, made, settings)
    idle = statistics[:, Tag.AVAILABLE_MEMORY]
    silent = np.isnan(idle)
    programs = state.programs
    if silent.any():
        programs = _programs(state, guests, statistics, new, made, reads.read, settings)
        used = np.minimum(programs, guests.guest_size)
        idle = np.where(
            silent, np.fmax(statistics[:, Tag.FREE_MEMORY], guests.guest_size - used), idle
        )
        programs = np.where(silent, programs, np.nan)

    # Into free memory a cache grows by itself.
    scarce = ~_ample(statistics[:, Tag.FREE_MEMORY], guests, settings)
    mapped, faulted = _mapped(state, guests, statistics, idle, new & scarce, made, settings)
    more = np.where(scarce, np.maximum(reads.more - faulted, 0.0), 0.0)
    worth, floor, owed = _worth(state, guests, idle, reads, more, settings)
    # Where nobody counts what it reads, a cache may be worth all that it is.
    unseen = np.isnan(guests.block_reads) & np.isnan(state.block_reads)
    caches = known_or(statistics[:, Tag.DISK_CACHES], 0.0)
    worth = np.where(unseen, np.maximum(worth, caches), worth)
    # An average goes on for a while after nobody reads any more.
    shown = unseen | (np.fmin(more, reads.rate - floor) > settings.reads_worth)
    return Files(
        idle=np.maximum(idle - mapped, 0.0),
        mapped=mapped,
        programs=programs,
        worth=worth,
        worth_time=np.where(shown & new, made, np.minimum(state.worth_time, made)),
        more=np.where(reads.known, np.fmax(reads.rate - state.read_rate, 0.0), 0.0),
        block_reads=np.where(reads.counted, guests.block_reads, state.block_reads),
        reads_time=np.where(reads.counted, made, np.minimum(state.reads_time, made)),
        read_rate=reads.lately,
        read_floor=floor,
        read_owed=owed,
    )


class _Reads(NamedTuple):
    """What is new of reads from the disk, one row a guest."""

    counted: BoolArray
    """Whether it is told, ..."""
    known: BoolArray
    """... and was before."""
    seconds: FloatArray
    """Since it was; 0 where nothing is known."""
    read: FloatArray
    """Bytes since then."""
    rate: FloatArray
    """The same a second, without what was swapped out and comes back: that is no file."""
    lately: FloatArray
    """Its average; NaN as long as nothing is known."""
    floor: FloatArray
    """What of that must be read."""
    more: FloatArray
    """What is read beyond that."""


def _follow_reads(
    state: State,
    guests: Guests,
    statistics: FloatArray,
    new: BoolArray,
    made: FloatArray,
    settings: Settings,
) -> _Reads:
    """Return what each guest reads from its disks."""
    counted = new & ~np.isnan(guests.block_reads)
    elapsed = np.where(counted, made - np.minimum(state.reads_time, made), np.nan)
    step = guests.block_reads - state.block_reads
    known = (step >= 0) & (elapsed > 0)
    read = np.where(known, step, 0.0)
    seconds = np.where(known, elapsed, 0.0)
    back = np.fmax(statistics[:, Tag.SWAP_IN] - state.statistics[:, Tag.SWAP_IN], 0.0)
    rate = np.maximum(read - np.where(new, back, 0.0), 0.0) / np.where(known, elapsed, 1.0)
    before = state.read_rate
    kept = np.exp(-seconds / settings.reads_memory)
    lately = np.where(np.isnan(before), rate, rate + (before - rate) * kept)
    lately = np.where(known, lately, before)
    floor = np.fmin(known_or(state.read_floor, 0.0), lately)
    more = np.where(known, np.maximum(lately - floor, 0.0), 0.0)
    return _Reads(counted, known, seconds, read, rate, lately, floor, more)


def _ample(free: FloatArray, guests: Guests, settings: Settings) -> BoolArray:
    """Tell where so much is free that no kernel reclaims anything."""
    scarce = settings.scarce_free + settings.scarce_free_share * guests.max_size
    return np.asarray(free > scarce)


def _programs(
    state: State,
    guests: Guests,
    statistics: FloatArray,
    new: BoolArray,
    made: FloatArray,
    read: FloatArray,
    settings: Settings,
) -> FloatArray:
    """Return what programs and the kernel are thought to use."""
    free, before = statistics[:, Tag.FREE_MEMORY], state.statistics[:, Tag.FREE_MEMORY]
    used = guests.guest_size - free
    given = guests.guest_size - state.sample_size
    taken = used - (state.sample_size - before)
    faults = statistics[:, Tag.MINOR_FAULTS] - state.statistics[:, Tag.MINOR_FAULTS]
    faults = np.where(faults >= 0, faults, np.inf) * PAGE_SIZE
    ample = _ample(np.fmin(free, before), guests, settings)
    # While memory is free, what was read is kept, and the rest of what was taken, or given back,
    # is programs'. While none is, what they take is seen, and only what becomes free of the rest.
    freed = np.fmax(free - before - np.fmax(given, 0.0), 0.0)
    change = np.where(ample, np.fmin(taken - read, faults), np.fmax(faults, 0.0) - freed)
    # Errors add up. What was hidden is tried to be taken, slowly, and is back at the first harm.
    seconds = np.maximum(made - state.sample_time, 0.0)
    kept = state.programs * np.exp(-seconds / settings.programs_memory)
    hurt = state.pressure >= settings.harm_pressure
    back = np.where(hurt, settings.programs_back * np.fmax(used - state.programs, 0.0), 0.0)
    after = np.where(hurt, state.programs, kept) + back + change
    after = np.where(np.isnan(after), used, np.clip(after, 0.0, used))
    return np.where(new, after, state.programs)


def _mapped(
    state: State,
    guests: Guests,
    statistics: FloatArray,
    idle: FloatArray,
    felt: BoolArray,
    made: FloatArray,
    settings: Settings,
) -> tuple[FloatArray, FloatArray]:
    """Return what is known of files in constant use, and how much of them is read back a second.

    `felt` marks guests of which there are new figures, and in which memory is scarce.
    """
    before = known_or(state.mapped, 0.0)
    seconds = np.fmax(made - state.sample_time, 0.0)
    faults = statistics[:, Tag.MAJOR_FAULTS] - state.statistics[:, Tag.MAJOR_FAULTS]
    swapped_in = statistics[:, Tag.SWAP_IN] - state.statistics[:, Tag.SWAP_IN]
    faults -= np.fmax(swapped_in, 0.0) / PAGE_SIZE
    read = np.where(felt, np.fmax(faults, 0.0) * settings.fault_cluster, 0.0)
    hurts = read > settings.reads_harm * seconds
    there_is = known_or(idle, 0.0)
    highest = there_is + settings.mapped_lead * guests.max_size
    raised = np.clip(before + read, before, np.maximum(highest, before))
    kept = before * np.exp(-seconds / settings.mapped_memory)
    kept = np.where(felt, np.minimum(kept, settings.mapped_enough * there_is), kept)
    return np.where(hurts, raised, kept), read / np.maximum(seconds, 1e-3)


def _worth(
    state: State,
    guests: Guests,
    idle: FloatArray,
    reads: _Reads,
    more: FloatArray,
    settings: Settings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what a guest's files are worth, what it must read, and what of that is a guess.

    `more` is what it reads beyond that, and felt the want of memory.
    """
    worth = known_or(state.worth, 0.0)
    there_is = known_or(idle, 0.0)
    too_few = more > settings.reads_worth
    # With all that it has it reads more than it must: that much is worth keeping, and some more; a
    # cache fills no faster than is read.
    rises = 1.0 - np.exp(-reads.seconds / settings.worth_rise)
    wished = worth + np.fmax(more * reads.seconds, (there_is - worth) * rises)
    lead = settings.worth_lead * guests.max_size
    raised = np.minimum(wished, np.maximum(there_is + lead, worth))
    after = np.where(too_few, raised, worth * np.exp(-reads.seconds / settings.worth_memory))
    # In vain is what was given, and less so what is read though there is about enough; unless
    # reads fall: that takes until the cache is filled, and the average has followed.
    given = np.fmax(idle - (state.sample_size - state.demand), 0.0)
    enough = worth - there_is <= lead / 2
    given += np.where(enough, settings.vain_share * more * reads.seconds, 0.0)
    given = np.where(too_few, given, 0.0) / (settings.vain_share * np.maximum(guests.max_size, 1.0))
    vain = more * (1.0 - np.exp(-known_or(given, 0.0)))
    owed = known_or(state.read_owed, 0.0)
    fell = np.minimum(np.fmax(known_or(state.read_rate - reads.lately, 0.0), 0.0), owed)
    floor = np.maximum(reads.floor - fell, 0.0) + vain
    owed = (owed - fell) * np.exp(-reads.seconds / settings.owed_memory) + vain
    return np.minimum(after, guests.max_size), floor, owed
