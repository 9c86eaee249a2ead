"""Every target, for a moment in the fast suite and ten thousand cases of all in the slow one."""

import pytest

from aerostat.testing.fuzz.playing import play
from aerostat.testing.fuzz.registry import NAMES, find

# Ten thousand together, and few of those that need files and sockets.
_CASES = 10_000
_IMPURE_CASES = 50
_FEW = 25

IMPURE = [name for name in NAMES if not find(name).pure]
PURE = [name for name in NAMES if find(name).pure]


def check(name: str, count: int, seed: int) -> None:
    played = play(find(name), seed, count=count, clock=False)

    assert [finding.identity for finding in played.findings] == []
    assert played.cases >= count


@pytest.mark.parametrize("name", PURE)
def test_nothing_is_found_at_a_glance(name: str) -> None:
    check(name, _FEW, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_ten_thousand_cases(name: str) -> None:
    rest = _CASES - _IMPURE_CASES * len(IMPURE)
    check(name, -(-rest // len(PURE)) if name in PURE else _IMPURE_CASES, seed=2)
