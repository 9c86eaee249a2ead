"""Which pages of larger blocks are in the balloon: against a plain set of them."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.blocks import BalloonBlocks

PAGES = 8  # in a block
BLOCK = PAGES * PAGE_SIZE


def test_a_block_is_whole_when_its_last_part_comes() -> None:
    blocks = BalloonBlocks(BLOCK)
    assert blocks.add(PAGE_SIZE, BLOCK) == (PAGE_SIZE, PAGE_SIZE)
    assert blocks.add(0, PAGE_SIZE) == (0, BLOCK)
    blocks.remove(3 * PAGE_SIZE, 4 * PAGE_SIZE)
    assert blocks.add(BLOCK, BLOCK + PAGE_SIZE) == (BLOCK, BLOCK)
    assert blocks.add(3 * PAGE_SIZE, 4 * PAGE_SIZE) == (0, BLOCK)


def test_neighbours_that_are_whole_come_in_one_span() -> None:
    blocks = BalloonBlocks(BLOCK)
    blocks.add(0, BLOCK - PAGE_SIZE)
    assert blocks.add(BLOCK - PAGE_SIZE, 3 * BLOCK + PAGE_SIZE) == (0, 3 * BLOCK)


def test_a_page_that_is_not_whole_is_not_put_in_but_taken_out() -> None:
    blocks = BalloonBlocks(BLOCK)
    assert blocks.add(1, BLOCK) == (1, 1)
    assert blocks.add(0, PAGE_SIZE - 1) == (0, 0)
    assert blocks.add(0, PAGE_SIZE) == (0, BLOCK)
    blocks.remove(PAGE_SIZE - 1, PAGE_SIZE + 1)  # a byte of each of two
    assert blocks.add(0, PAGE_SIZE) == (0, 0)
    assert blocks.add(PAGE_SIZE, 2 * PAGE_SIZE) == (0, BLOCK)


def test_an_empty_balloon_has_nothing() -> None:
    blocks = BalloonBlocks(BLOCK)
    blocks.add(0, BLOCK - PAGE_SIZE)
    blocks.clear()
    assert blocks.add(BLOCK - PAGE_SIZE, BLOCK) == (BLOCK - PAGE_SIZE, BLOCK - PAGE_SIZE)


class AgainstASet(RuleBasedStateMachine):
    """Whole blocks are those of which the set has every page."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = BalloonBlocks(BLOCK)
        self.pages: set[int] = set()

    @rule(first=st.integers(0, 40), count=st.integers(0, 30))
    def add(self, first: int, count: int) -> None:
        self.pages |= {*range(first, first + count)}
        start, end = self.blocks.add(first * PAGE_SIZE, (first + count) * PAGE_SIZE)
        touched = {page // PAGES for page in range(first, first + count)}
        assert [*range(start // BLOCK, end // BLOCK)] == [
            block
            for block in sorted(touched)
            if self.pages >= {*range(block * PAGES, (block + 1) * PAGES)}
        ]

    @rule(first=st.integers(0, 40), count=st.integers(0, 30))
    def remove(self, first: int, count: int) -> None:
        self.pages -= {*range(first, first + count)}
        self.blocks.remove(first * PAGE_SIZE, (first + count) * PAGE_SIZE)

    @invariant()
    def nothing_is_kept_of_blocks_that_are_empty(self) -> None:
        assert self.blocks._blocks.keys() == {page // PAGES for page in self.pages}


AgainstASet.TestCase.settings = settings(stateful_step_count=20)
TestAgainstASet = AgainstASet.TestCase


@given(st.permutations(range(PAGES)))
def test_the_order_in_which_pages_come_makes_no_difference(order: list[int]) -> None:
    blocks = BalloonBlocks(BLOCK)
    spans = [blocks.add(page * PAGE_SIZE, (page + 1) * PAGE_SIZE) for page in order]
    assert [end > start for start, end in spans] == [False] * (PAGES - 1) + [True]
    assert spans[-1] == (0, BLOCK)
