"""Pages are somebody's, are written, and are known again."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.process_guest.pages import Owner, Pages

COUNT = 64
BLOCK = 8 * PAGE_SIZE


def make_pages(*, scattered: bool = False) -> Pages:
    return Pages(memoryview(bytearray(COUNT * PAGE_SIZE)), scattered=scattered, seed=3)


def test_pages_are_given_from_the_highest_down() -> None:
    pages = make_pages()
    assert pages.take(Owner.PROGRAMS, 3).tolist() == [63, 62, 61]
    assert pages.take(Owner.BALLOON, 2).tolist() == [60, 59]
    pages.hand([62], Owner.FREE)
    assert pages.take(Owner.FILES, 2).tolist() == [62, 58]
    assert pages.of(Owner.PROGRAMS).tolist() == [61, 63]


def test_there_are_no_more_than_there_are() -> None:
    pages = make_pages()
    assert len(pages.take(Owner.PROGRAMS, COUNT + 5)) == COUNT
    assert pages.take(Owner.FILES, 1).tolist() == []
    assert pages.take(Owner.FILES, 0).tolist() == []
    assert pages.take(Owner.FILES, -1).tolist() == []


def test_scattered_pages_have_no_order_and_the_seed_says_which() -> None:
    one, other = (make_pages(scattered=True).take(Owner.BALLOON, 30).tolist() for _ in range(2))
    assert one == other
    assert len(set(one)) == 30
    steps = [after - before for before, after in itertools.pairwise(one)]
    assert max(steps.count(1), steps.count(-1)) < 5


@settings(max_examples=settings().max_examples // 2)
@given(st.sets(st.integers(0, COUNT - 1), min_size=1), st.data())
def test_what_is_written_is_known_again(pfns: set[int], data: st.DataObject) -> None:
    view = memoryview(bytearray(COUNT * PAGE_SIZE))
    pages = Pages(view)
    chosen = pages.take(Owner.FREE, COUNT)[[COUNT - 1 - pfn for pfn in sorted(pfns)]]
    assert sorted(chosen.tolist()) == sorted(pfns)
    pages.write(chosen)
    assert pages.damaged(chosen) == 0
    touched = {place // PAGE_SIZE for place in range(0, COUNT * PAGE_SIZE, 512) if view[place]}
    assert touched == pfns
    hurt = data.draw(st.sets(st.sampled_from(sorted(pfns)), min_size=1))
    for pfn in hurt:
        view[pfn * PAGE_SIZE + data.draw(st.integers(0, PAGE_SIZE - 1))] ^= 1
    assert pages.damaged(chosen) == len(hurt)


def test_a_hole_is_damage() -> None:
    view = memoryview(bytearray(COUNT * PAGE_SIZE))
    pages = Pages(view)
    taken = pages.take(Owner.PROGRAMS, COUNT)
    pages.write(taken)
    view[:PAGE_SIZE] = bytes(PAGE_SIZE)
    assert pages.damaged(taken) == 1


def test_another_page_is_damage() -> None:
    view = memoryview(bytearray(COUNT * PAGE_SIZE))
    pages = Pages(view)
    taken = pages.take(Owner.PROGRAMS, 2)
    pages.write(taken)
    view[62 * PAGE_SIZE : 63 * PAGE_SIZE] = view[63 * PAGE_SIZE :]
    assert pages.damaged(taken) == 1


@pytest.mark.parametrize("scattered", [False, True])
def test_counts_are_those_of_the_pages(*, scattered: bool) -> None:
    pages = make_pages(scattered=scattered)
    pages.take(Owner.PROGRAMS, 20)
    pages.take(Owner.FILES, 10)
    pages.free_some(Owner.PROGRAMS, 5)
    pages.free_some(Owner.FILES, 50)
    for owner in Owner:
        assert pages.count(owner) == len(pages.of(owner))
    assert (pages.count(Owner.PROGRAMS), pages.count(Owner.FREE)) == (15, 49)


def test_free_blocks_are_free_throughout_and_news_to_the_host() -> None:
    pages = make_pages()
    pages.hand([9, 63], Owner.PROGRAMS)
    assert pages.free_blocks(BLOCK).tolist() == [0, 16, 24, 32, 40, 48]
    pages.know_free(pages.of(Owner.FREE)[:8])
    assert pages.free_blocks(BLOCK).tolist() == [16, 24, 32, 40, 48]
    pages.hand([3], Owner.FILES)
    pages.hand([3], Owner.FREE)
    assert pages.free_blocks(BLOCK).tolist() == [0, 16, 24, 32, 40, 48]


def test_poison_fills_the_pages() -> None:
    view = memoryview(bytearray(COUNT * PAGE_SIZE))
    pages = Pages(view)
    pages.fill(pages.take(Owner.REPORTING, 2), 0xAAAA5555)
    assert view[62 * PAGE_SIZE :].tobytes() == bytes.fromhex("5555aaaa") * (2 * PAGE_SIZE // 4)
    assert not any(view[: 62 * PAGE_SIZE])
