"""What fuzzing has found once is found no more: each case is played again, as it was kept.

A file lies in the directory that has its target's name, and has the name of what was wrong.
"""

from pathlib import Path

import pytest

from aerostat.testing.fuzz.oracle import Holdings, Oracle
from aerostat.testing.fuzz.registry import NAMES, find

HERE = Path(__file__).parent / "regressions"
FILES = sorted(path for path in HERE.glob("*/*") if path.is_file())


def test_every_case_has_a_target() -> None:
    assert FILES
    assert {path.parent.name for path in FILES} <= set(NAMES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_it_is_mended(path: Path) -> None:
    oracle = Oracle(find(path.parent.name))
    case = path.read_bytes()
    with oracle.watching(clock=False):
        before = Holdings.now()
        finding = oracle.judge(case)
        leak = oracle.judge_holdings([case], before)

    assert finding is None, finding.trace
    assert leak is None, leak.trace
