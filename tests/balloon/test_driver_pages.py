"""The driver's account of its pages, against sets and lists."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aerostat.balloon.driver_pages import PageAccount, pack_pages
from aerostat.virtio.memory import Byteorder

# Few and near each other, so that they meet; and some at the ends of what there is.
numbers = st.integers(1000, 1060) | st.sampled_from([0, 1023, 1024, 0xFFFFFFFF])


class AccountModel(RuleBasedStateMachine):
    """The account is a list, the pages on their way two more."""

    def __init__(self) -> None:
        super().__init__()
        self.account = PageAccount()
        self.going: list[int] = []
        self.balloon: list[int] = []
        self.coming: list[int] = []

    @rule(pages=st.lists(numbers, min_size=1, max_size=8))
    def give(self, pages: list[int]) -> None:
        away = {*self.going, *self.balloon, *self.coming}
        twice = [n for i, n in enumerate(pages) if n in away or n in pages[:i]]
        assert self.account.give(pages) == (twice[0] if twice else None)
        if not twice:
            self.going += pages

    @precondition(lambda self: bool(self.going))
    @rule(count=st.integers(1, 8))
    def arrive(self, count: int) -> None:
        self.account.arrive(self.going[:count])
        self.balloon += self.going[:count]
        del self.going[:count]

    @rule(count=st.integers(-1, 10))
    def ask(self, count: int) -> None:
        asked = self.account.ask(count)
        expected = [self.balloon.pop() for _ in range(min(max(0, count), len(self.balloon)))]
        assert asked == expected
        self.coming += asked

    @rule(count=st.integers(0, 8))
    def regain(self, count: int) -> None:
        self.account.regain(self.coming[:count])
        del self.coming[:count]

    @invariant()
    def they_agree(self) -> None:
        away = sorted([*self.going, *self.balloon, *self.coming])
        assert self.account.pages() == away
        assert len(self.account) == len(self.balloon)


TestAccountModel = AccountModel.TestCase
TestAccountModel.settings = settings(stateful_step_count=30)


@pytest.mark.statement("DRV-OP-13")
@pytest.mark.parametrize(
    ("per_page", "byteorder", "expected"),
    [
        (1, "little", "02010000 ff000000"),
        (1, "big", "00000102 000000ff"),
        (2, "little", "04020000 05020000 fe010000 ff010000"),
    ],
)
def test_page_numbers_are_32_bits_each_of_4096_bytes(
    per_page: int, byteorder: Byteorder, expected: str
) -> None:
    assert pack_pages([0x102, 0xFF], per_page, byteorder) == bytes.fromhex(expected)
