"""Giving pieces of memory files back: whole blocks, and parts of blocks over many requests."""

import os
from collections.abc import Iterator

import pytest

from aerostat.balloon.events import Deflate, Inflate, Report
from aerostat.device.log import Log
from aerostat.device.memory import MappedMemory, MappedRegion
from aerostat.device.reclaim import COUNTERS, Reclaim
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import RegionDescription
from aerostat.virtio.chain import Chain
from aerostat.virtio.memory import Piece

PAGE = 4096
# What stands for a huge page here: the file is on 4096-byte pages, but is said not to be.
BLOCK = 4 * PAGE
SIZE = 16 * PAGE
CHAIN = Chain(0, (), ())
# Where the guest's memory begins in the file: not where a block does. So the guest's pages 3 to 6
# are the file's pages 4 to 7, the first block that it has whole.
OFFSET = PAGE


class Balloon:
    """Guest memory from address 0 on, and what the balloon does with it; all in pages."""

    def __init__(self, block_size: int) -> None:
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.reclaim = Reclaim(self.counters, Log("test"))
        self.file = os.memfd_create("guest")
        os.ftruncate(self.file, SIZE)
        self.block_size = block_size
        self.memory: MappedMemory | None = None
        self.share((0, SIZE - OFFSET))
        self.fill()

    def share(self, *spans: tuple[int, int]) -> None:
        """Share these (address, size), the file's block size being what the test says."""
        old, regions = self.memory, []
        for address, size in spans:
            description = RegionDescription(address, size, address, OFFSET + address)
            region = MappedRegion(description, OwnedDescriptor(os.dup(self.file)))
            region.file = region.file._replace(block_size=self.block_size)
            regions.append(region)
        self.memory = MappedMemory(regions)
        self.reclaim.use_memory(self.memory)
        if old is not None:
            old.close()

    def fill(self) -> None:
        os.pwrite(self.file, b"x" * SIZE, 0)

    def inflate_at_once(self, *pages: int) -> None:
        pieces = [piece for page in pages for piece in self._pieces(page)]
        self.reclaim.inflate(Inflate(pieces, CHAIN, last=True), told=True)

    def inflate(self, *pages: int, told: bool = True, last: bool = True) -> None:
        for page in pages:
            self.reclaim.inflate(Inflate(self._pieces(page), CHAIN, last), told=told)

    def deflate(self, *pages: int) -> None:
        for page in pages:
            self.reclaim.deflate(Deflate(self._pieces(page), CHAIN, last=True))

    def report(self, first: int, count: int) -> None:
        assert self.memory is not None
        pieces = self.memory.guest.split(first * PAGE, count * PAGE)
        self.reclaim.report(Report(pieces, CHAIN, last=True))

    def holes(self) -> list[int]:
        """Return which pages of the file are holes now."""
        data = os.pread(self.file, SIZE, 0)
        return [n for n in range(SIZE // PAGE) if not any(data[n * PAGE : (n + 1) * PAGE])]

    def close(self) -> None:
        if self.memory is not None:
            self.memory.close()
        os.close(self.file)

    def _pieces(self, page: int) -> list[Piece]:
        assert self.memory is not None
        return self.memory.guest.split(page * PAGE, PAGE)


@pytest.fixture
def balloon() -> Iterator[Balloon]:
    balloon = Balloon(BLOCK)
    yield balloon
    balloon.close()


@pytest.fixture(params=["at once", "one by one"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Balloon]:
    """A balloon whose blocks are its pages, on this kernel and on one before 6.13."""
    if request.param == "one by one":
        monkeypatch.setattr("aerostat.device.reclaim.can_punch_mapped", lambda: False)
    balloon = Balloon(PAGE)
    yield balloon
    balloon.close()


@pytest.mark.statement("DEV-OP-1")
def test_a_page_is_a_hole_and_nothing_beside_it(small: Balloon) -> None:
    small.inflate(3, 5)
    assert small.holes() == [4, 6]
    assert (small.counters["punches"], small.counters["punched_bytes"]) == (2, 2 * PAGE)
    small.fill()
    small.deflate(3, 5)
    small.inflate(4)
    assert small.holes() == [5]


def test_the_pages_of_a_request_are_one_system_call_where_the_kernel_can(small: Balloon) -> None:
    small.inflate_at_once(2, 5, 9)
    assert small.holes() == [3, 6, 10]
    calls = 1 if small.reclaim.by_address else 3
    assert (small.counters["punches"], small.counters["punched_bytes"]) == (calls, 3 * PAGE)


@pytest.mark.statement("DEV-OP-2")
def test_a_block_goes_when_the_last_of_it_comes_in_whatever_request(balloon: Balloon) -> None:
    balloon.inflate(3, 4, 6)
    assert balloon.holes() == []
    assert balloon.counters["punches"] == 0
    balloon.inflate(5)
    assert balloon.holes() == [4, 5, 6, 7]
    assert (balloon.counters["punches"], balloon.counters["punched_bytes"]) == (1, BLOCK)


def test_what_was_deflated_is_missing(balloon: Balloon) -> None:
    balloon.inflate(3, 4, 5)
    balloon.deflate(4)
    balloon.inflate(6)
    assert balloon.holes() == []
    balloon.inflate(4)
    assert balloon.holes() == [4, 5, 6, 7]


def test_a_block_that_was_used_again_goes_again(balloon: Balloon) -> None:
    balloon.inflate(3, 4, 5, 6)
    balloon.deflate(5)
    balloon.fill()  # the whole block is there again
    balloon.inflate(5)
    assert balloon.holes() == [4, 5, 6, 7]


@pytest.mark.statement("DEV-OP-2", "LEG-FEAT-1")
def test_dev_op_2_who_need_not_tell_may_use_a_page_after_its_request(balloon: Balloon) -> None:
    """It was acknowledged, and the driver may have written to it, and not have said so yet."""
    balloon.inflate(3, 4, told=False)
    balloon.inflate(5, 6, told=False)
    assert balloon.holes() == []
    balloon.inflate(3, 4, told=False, last=False)  # two steps of one request
    balloon.inflate(5, 6, told=False)
    assert balloon.holes() == []
    balloon.inflate(3, 4, 5, told=False, last=False)
    balloon.inflate(6, told=False)
    assert balloon.holes() == [4, 5, 6, 7]


def test_a_reset_driver_has_nothing_in_the_balloon(balloon: Balloon) -> None:
    balloon.inflate(3, 4, 5)
    balloon.reclaim.forget()
    balloon.inflate(6)
    assert balloon.holes() == []


def test_what_is_partly_there_outlives_the_same_table_and_no_other(balloon: Balloon) -> None:
    balloon.inflate(3, 4, 5)
    balloon.share((0, SIZE - OFFSET))
    balloon.inflate(7, 8, 9)
    balloon.inflate(6)
    assert balloon.holes() == [4, 5, 6, 7]
    balloon.share((0, 10 * PAGE))  # page 10 goes, and comes back as something else
    balloon.share((0, SIZE - OFFSET))
    balloon.inflate(10)
    assert balloon.holes() == [4, 5, 6, 7]
    balloon.inflate(7, 8, 9)
    assert balloon.holes() == [*range(4, 12)]


def test_a_block_may_lie_in_two_regions(balloon: Balloon) -> None:
    balloon.share((0, 5 * PAGE), (5 * PAGE, 10 * PAGE))
    balloon.inflate(3, 4, 5, 6)
    assert balloon.holes() == [4, 5, 6, 7]


def test_a_region_that_begins_within_a_page_loses_whole_pages_only(small: Balloon) -> None:
    small.share((0, 3 * PAGE))
    description = RegionDescription(0, 3 * PAGE, 0, OFFSET + 16)
    region = MappedRegion(description, OwnedDescriptor(os.dup(small.file)))
    assert small.memory is not None
    small.memory.close()
    small.memory = MappedMemory([region])
    small.reclaim.use_memory(small.memory)
    small.inflate_at_once(0, 1)
    assert small.holes() == []
    pieces = small.memory.guest.split(0, 3 * PAGE)
    small.reclaim.inflate(Inflate(pieces, CHAIN, last=True), told=True)
    assert small.holes() == [2, 3]


def test_a_block_that_is_not_all_the_guests_stays(balloon: Balloon) -> None:
    balloon.inflate(0, 1, 2)
    assert balloon.holes() == []


@pytest.mark.statement("DEV-REP-3")
def test_dev_rep_3_nothing_is_remembered_of_what_was_reported(balloon: Balloon) -> None:
    balloon.report(3, 3)
    balloon.inflate(6)
    balloon.report(3, 3)
    assert balloon.holes() == []
    balloon.report(2, 10)
    assert balloon.holes() == [*range(4, 12)]
    assert balloon.counters["report_punches"] == 1
    assert balloon.counters["reported_bytes"] == 2 * BLOCK
    assert balloon.counters["punches"] == 0


def test_a_file_system_that_cannot_is_counted_and_survived(
    small: Balloon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("aerostat.device.reclaim.punch_mapped", refuse)
    monkeypatch.setattr("aerostat.device.reclaim.punch_hole", refuse)
    small.inflate(3)
    assert small.holes() == []
    assert small.counters == dict.fromkeys(COUNTERS, 0) | {"punches": 1, "failed_punches": 1}
