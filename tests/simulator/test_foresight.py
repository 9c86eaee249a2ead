"""Foresight: what will be needed is what is enough."""

import numpy as np
import pytest

from aerostat.model.plans import Moment, Plan, Plans
from aerostat.model.state import State
from aerostat.simulator.foresight import Foresight
from aerostat.units import GIB, MIB

QUIET = Moment(0.0, 100.0 * MIB, mapped=0.0)
PLANS = [
    Plan([QUIET, QUIET._replace(at=10.0, hold=300.0 * MIB), QUIET._replace(at=20.0)]),
    Plan([QUIET._replace(read_rate=25.0 * MIB, read_span=200.0 * MIB, skew=1.0)]),
    Plan([QUIET._replace(cold=60.0 * MIB)]),
]
KEYS = ("grows", "reads", "cold")
SWAP = 40.0 * MIB
STATE = State.boot(1.0 * GIB, swap_size=SWAP).rows([0, 0, 0])
KERNEL = STATE.reserved + STATE.kernel + STATE.high_watermark


@pytest.fixture
def foresight() -> Foresight:
    return Foresight(KEYS, Plans.of(PLANS), STATE)


def test_the_peak_of_a_time_is_needed(foresight: Foresight) -> None:
    def need(now: float, until: float) -> float:
        return float((foresight.need(KEYS, now, until) - KERNEL)[0])

    assert need(0.0, 5.0) == 200 * MIB
    assert need(5.0, 15.0) == 300 * MIB
    assert need(20.0, 30.0) == 100 * MIB


def test_cold_memory_is_needed_where_no_swap_takes_it(foresight: Foresight) -> None:
    assert (foresight.need(KEYS, 0.0, 1.0) - KERNEL)[2] == 60 * MIB  # 40 used, 20 beyond the swap


def test_some_slack_leaves_the_files_out_that_the_disk_reads_in_time(foresight: Foresight) -> None:
    files = [(foresight.need(KEYS, 0.0, 1.0, slack) - KERNEL)[1] - 100 * MIB for slack in (0, 0.02)]

    # At 25 MiB/s from a disk of 250, one of five reads may miss for 2 % of the time.
    assert files == pytest.approx([200 * MIB, 160 * MIB])


def test_it_answers_for_whom_it_is_asked(foresight: Foresight) -> None:
    some = foresight.need(("cold", "grows"), 0.0, 20.0)

    assert np.array_equal(some, foresight.need(KEYS, 0.0, 20.0)[[2, 0]])
