"""A process guest's kernel: the model's amounts, and pages that are really written."""

import mmap
from collections.abc import Callable

import pytest

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.model.workload import Step, Workload, idle
from aerostat.process_guest.interface import RESERVED_SIZE
from aerostat.process_guest.kernel import Kernel
from aerostat.process_guest.pages import Owner, Pages
from aerostat.units import MIB

SIZE = 96 * MIB
BLOCK = 2 * MIB


class Machine:
    """A kernel, the pages it has, and the memory they are in."""

    def __init__(self, **options: int | bool) -> None:
        self.memory = mmap.mmap(-1, SIZE)
        self.pages = Pages(memoryview(self.memory))
        self.kernel = Kernel(self.pages, **options)  # type: ignore[arg-type] # one or the other

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.kernel.pass_time(0.1)
            self.check()

    def live_hinting(self, seconds: float) -> None:
        """Live while what is free is hinted, and so not where the model has it."""
        for _ in range(round(seconds / 0.1)):
            self.kernel.pass_time(0.1)

    def check(self) -> None:
        """Check that pages are as many as the model says, wherever they are."""
        state = self.kernel.state
        amounts = {
            Owner.KERNEL: state.reserved + state.kernel,
            Owner.PROGRAMS: state.anonymous,
            Owner.FILES: state.disk_caches,
            Owner.BALLOON: state.balloon,
            Owner.FREE: state.free,
        }
        for owner, amount in amounts.items():
            assert self.pages.count(owner) * PAGE_SIZE == amount[0], owner
        assert not state.lost().any()

    def untouched(self, pfn: int) -> bool:
        return not any(self.memory[pfn * PAGE_SIZE : (pfn + 1) * PAGE_SIZE])


def steps(*holds: int) -> Workload:
    return Workload("steps", tuple(Step(float(at), hold) for at, hold in enumerate(holds)))


def test_what_the_model_takes_is_written_and_what_it_frees_stays() -> None:
    machine = Machine()
    machine.kernel.programs.play(steps(8 * MIB, 2 * MIB))
    machine.live(0.9)
    taken = machine.pages.of(Owner.PROGRAMS).tolist()
    assert len(taken) == 8 * MIB // PAGE_SIZE
    assert not any(machine.untouched(pfn) for pfn in taken)
    machine.live(0.5)
    assert machine.pages.count(Owner.PROGRAMS) == 2 * MIB // PAGE_SIZE
    assert not any(machine.untouched(pfn) for pfn in taken)


def test_the_links_memory_is_left_alone() -> None:
    machine = Machine()
    assert not any(machine.memory[:RESERVED_SIZE])
    assert not machine.untouched(RESERVED_SIZE // PAGE_SIZE)
    assert min(machine.kernel.take_pages(10**6)) >= RESERVED_SIZE // PAGE_SIZE


def test_programs_notice_what_happens_to_their_memory() -> None:
    machine = Machine()
    machine.kernel.programs.play(idle(4 * MIB))
    machine.live(1.0)
    report = machine.kernel.programs.report()
    assert (report["damaged"], machine.kernel.damaged()) == (0, 0)
    assert report["grown"] == machine.kernel.held == 4 * MIB
    for pfn in machine.pages.of(Owner.PROGRAMS)[:3]:
        machine.memory[pfn * PAGE_SIZE] ^= 0xFF
    assert machine.kernel.damaged() == 3
    machine.live(2.5)  # time enough to look at everything once
    damaged = machine.kernel.programs.report()["damaged"]
    assert isinstance(damaged, int)
    assert damaged >= 3


def test_the_balloon_takes_pages_and_gives_them_back() -> None:
    machine = Machine()
    taken = machine.kernel.take_pages(256)
    assert list(taken) == sorted(taken, reverse=True)
    assert len(set(taken)) == 256
    machine.check()
    more = machine.kernel.take_pages(256)
    assert not set(taken) & set(more)
    machine.kernel.give_back(taken)
    machine.check()
    machine.kernel.give_back(more)
    machine.check()
    assert machine.kernel.state.balloon[0] == 0


def test_the_balloon_pushes_files_out_and_ends_with_what_there_is() -> None:
    machine = Machine()
    reading = Workload("reader", (Step(0.0, 4 * MIB, read_rate=20 * MIB, read_span=64 * MIB),))
    machine.kernel.programs.play(reading)
    machine.live(2.0)
    files = machine.pages.count(Owner.FILES)
    while machine.kernel.take_pages(256):
        machine.check()
    assert machine.pages.count(Owner.FILES) < files
    assert machine.pages.count(Owner.PROGRAMS) == 4 * MIB // PAGE_SIZE
    machine.live(1.0)
    assert machine.kernel.damaged() == 0
    assert machine.kernel.counters()["vmstat"]["oom_kill"] == 0


def test_swapped_memory_comes_back_as_it_was() -> None:
    machine = Machine(swap_size=64 * MIB)
    machine.kernel.programs.play(idle(70 * MIB))
    machine.live(3.0)
    counters = machine.kernel.counters()
    assert counters["vmstat"]["pswpout"] > 0
    assert counters["vmstat"]["pswpin"] > 0
    assert counters["meminfo"]["SwapFree"] < 64 * MIB
    assert machine.kernel.held == 70 * MIB
    assert machine.kernel.damaged() == 0


def test_programs_that_are_killed_are_gone_until_they_begin_anew() -> None:
    machine = Machine(deflate_on_oom=False)
    machine.kernel.programs.hold("other", 4 * MIB)
    machine.kernel.programs.play(idle(SIZE))
    machine.live(2.0)
    assert machine.kernel.counters()["vmstat"]["oom_kill"] == 1
    assert machine.pages.count(Owner.PROGRAMS) == 0
    ask: list[Callable[[], object]] = [
        machine.kernel.programs.report,
        lambda: machine.kernel.programs.play(idle(MIB)),
        lambda: machine.kernel.programs.hold("other", MIB),
    ]
    for asked in ask:
        with pytest.raises(Exception, match="was killed by SIGKILL"):
            asked()
    machine.kernel.programs.end("workload")
    machine.kernel.programs.play(idle(MIB))
    machine.live(0.5)
    assert machine.kernel.held == MIB


def test_relief_is_asked_for_where_the_balloon_may_give_it() -> None:
    machine = Machine(deflate_on_oom=True)
    taken: list[int] = []
    while pages := machine.kernel.take_pages(256):
        taken += pages
    machine.kernel.programs.play(idle(8 * MIB))
    machine.live(0.5)
    wanted = machine.kernel.wants_relief
    assert 0 < wanted <= 8 * MIB // PAGE_SIZE
    machine.kernel.give_back(taken[-wanted:])
    machine.live(0.5)
    assert machine.kernel.held == 8 * MIB
    assert machine.kernel.wants_relief == 0
    assert machine.kernel.counters()["vmstat"]["oom_kill"] == 0


def test_statistics_are_of_the_tags_that_the_driver_knows() -> None:
    machine = Machine()
    assert set(machine.kernel.statistics()) == set(range(16))
    old = Kernel(Pages(memoryview(bytearray(SIZE))), tags=list(Tag)[:6])
    assert list(old.statistics()) == [0, 1, 2, 3, 4, 5]
    assert old.statistics()[Tag.FREE_MEMORY] == old.state.free[0]


@pytest.mark.statement("DRV-REP-3", "DRV-REP-5")
def test_what_stays_free_is_reported_once() -> None:
    machine = Machine()
    assert machine.kernel.report(8) == []  # it has to stay free for a while
    first = machine.kernel.report(8)
    assert len(first) == 8
    assert all(address % BLOCK == 0 and length == BLOCK for address, length in first)
    # Until the device has seen them, they are nobody's.
    used = set(machine.kernel.take_pages(10**6))
    inside = {a // PAGE_SIZE + n for a, size in first for n in range(size // PAGE_SIZE)}
    assert not used & inside
    machine.kernel.give_back(list(used))
    machine.kernel.reported(first)
    machine.check()
    machine.kernel.report(8)
    assert not set(machine.kernel.report(100)) & set(first)


def test_what_was_used_again_is_reported_again() -> None:
    machine = Machine()
    machine.kernel.report(1)
    ((address, length),) = ranges = machine.kernel.report(1)
    machine.kernel.reported(ranges)
    used = machine.kernel.take_pages(10**6)
    assert address // PAGE_SIZE in used
    machine.kernel.give_back(used)
    reported = machine.kernel.report(100) + machine.kernel.report(100)
    assert (address, length) in reported


@pytest.mark.statement("DRV-REP-2")
def test_reported_pages_hold_the_poison() -> None:
    machine = Machine()
    machine.kernel.report(1)
    ((address, length),) = machine.kernel.report(1, poison=0xDEADBEEF)
    poison = (0xDEADBEEF).to_bytes(4, "little")
    assert machine.memory[address : address + length] == poison * (length // 4)


# ---- free page hinting


def test_all_that_is_free_is_hinted_once_and_used_again_when_it_may_be() -> None:
    machine = Machine()
    free = machine.pages.count(Owner.FREE)
    hinted = machine.kernel.hint(8)
    assert len(hinted) == 8
    hinted += machine.kernel.hint(100)
    assert machine.kernel.hint(100) == []
    assert len({address for address, _ in hinted}) == len(hinted)
    assert free * PAGE_SIZE - sum(length for _, length in hinted) < 2 * BLOCK
    machine.kernel.hints_done()
    assert machine.pages.count(Owner.FREE) == free


@pytest.mark.statement("DRV-HINT-7", "DRV-HINT-8", "DRV-HINT-9")
def test_what_was_hinted_is_used_before_if_it_must_and_written_first() -> None:
    machine = Machine()
    for address, length in machine.kernel.hint(100):
        machine.memory[address : address + length] = b"?" * length  # the device may do so
    machine.kernel.programs.play(idle(48 * MIB))
    machine.live_hinting(2.0)
    assert machine.pages.count(Owner.PROGRAMS) == 48 * MIB // PAGE_SIZE
    assert machine.pages.count(Owner.HINTED) > 0
    assert machine.kernel.damaged() == 0
    machine.kernel.hints_done()
    machine.live(0.5)
    assert machine.kernel.damaged() == 0
