"""Every target, for a moment in the fast suite and ten thousand cases of all in the slow one."""

import pytest

from aerostat.testing.fuzz.playing import play
from aerostat.testing.fuzz.registry import NAMES, OTHERS, PURE, find

# Ten thousand together, and few of those that need files and sockets.
_CASES = 10_000
_OTHERS_CASES = 100
_FEW = 10


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
    rest = _CASES - _OTHERS_CASES * len(OTHERS)
    check(name, -(-rest // len(PURE)) if name in PURE else _OTHERS_CASES, seed=2)
