"""What a guest's kernel does about what its programs want: each behaviour by itself."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aerostat.model.demand import Demand, Outcome
from aerostat.model.state import State
from aerostat.model.step import deflate, inflate, step
from aerostat.units import MIB

SIZE = 256 * MIB
DT = 0.1


def boot(**options: npt.ArrayLike) -> State:
    return State.boot(SIZE, **options)


def wanting(**amounts: float) -> Demand:
    return Demand.of(1, **{"mapped": 10 * MIB, **amounts})


def live(state: State, seconds: float, **amounts: float) -> list[Outcome]:
    """Let time pass under one demand, in intervals."""
    return [step(state, wanting(**amounts), DT) for _ in range(round(seconds / DT))]


def grow(state: State, rate: float, **amounts: float) -> Callable[[], Outcome]:
    """Return a function that lets an interval pass in which more is held."""

    def once() -> Outcome:
        held = float(state.anonymous[0] + state.swapped[0])
        return step(state, wanting(hold=held + rate * DT, touched=40 * MIB * DT, **amounts), DT)

    return once


def mib(column: npt.NDArray[np.float64]) -> float:
    return float(column[0]) / MIB


def test_watermarks_are_those_of_linux() -> None:
    # min_free_kbytes is the square root of 16 times the kilobytes (Linux, mm/page_alloc.c).
    state = State.boot([1024 * MIB], reserved=0.0)
    assert mib(state.min_watermark) == 4.0
    assert mib(state.low_watermark) == 5.0234375
    assert mib(state.high_watermark) == 6.046875


def test_a_guest_starts_with_what_linux_leaves_it() -> None:
    # Linux 6.1 in user mode says 230.3 MiB of 256, and 479.5 of 512.
    state = State.boot([256 * MIB, 512 * MIB])
    assert np.allclose(state.total_memory / MIB, [230, 479], atol=1.0)
    assert (state.lost() == 0).all()


def test_programs_get_what_is_free() -> None:
    state = boot()
    (outcome,) = live(state, DT, hold=100 * MIB)
    assert mib(state.anonymous) == mib(outcome.grown) == 100
    assert float(state.minor_faults[0]) >= 100 * MIB / 4096
    live(state, DT, hold=30 * MIB)
    assert mib(state.anonymous) == 30
    assert float(state.alloc_stalls[0]) == float(state.async_scans[0]) == 0


def test_growth_has_a_pace() -> None:
    state = boot()
    live(state, 1.0, hold=100 * MIB, growth=2 * MIB)
    assert mib(state.anonymous) == 20


def test_files_fill_what_is_free_and_count_as_available() -> None:
    state = boot()
    available = mib(state.available_memory)
    live(state, 10.0, read=5 * MIB, read_span=150 * MIB)
    assert mib(state.cache) == 150
    assert mib(state.free) < 60
    assert mib(state.available_memory) > available - 5
    assert live(state, DT, read=5 * MIB, read_span=150 * MIB)[0].read_missed == 0


def test_files_that_do_not_fit_push_out_each_other_in_the_background() -> None:
    state = boot()
    live(state, 20.0, hold=50 * MIB, read=5 * MIB, read_span=1024 * MIB)
    scanned = mib(state.async_scans)
    outcomes = live(state, 1.0, hold=50 * MIB, read=5 * MIB, read_span=1024 * MIB)
    assert mib(state.async_scans) - scanned == 50
    assert float(state.alloc_stalls[0]) == 0
    assert sum(float(outcome.stalled[0]) for outcome in outcomes) == 0
    assert mib(state.anonymous) == 50


def test_kswapd_frees_files_for_programs_before_anybody_waits() -> None:
    state = boot()
    live(state, 20.0, read=15 * MIB, read_span=1024 * MIB)
    once = grow(state, 20 * MIB)
    reclaimed = mib(state.async_reclaims)
    for _ in range(50):
        assert once().short == 0
    assert 95 < mib(state.async_reclaims) - reclaimed < 105
    assert float(state.alloc_stalls[0]) == 0
    assert float(state.free[0]) >= float(state.low_watermark[0])


def test_before_anything_is_killed_everybody_waits() -> None:
    state = boot()
    live(state, 1.0)
    faults = float(state.major_faults[0])
    once = grow(state, 20 * MIB)
    stalled, scans = 0.0, 0.0
    for _ in range(200):
        outcome = once()
        if outcome.killed[0]:
            break
        stalled += float(outcome.stalled[0])
        scans = float(state.direct_scans[0])
    assert outcome.killed[0]
    assert float(state.oom_kills[0]) == 1
    assert mib(state.anonymous) == 0
    assert stalled > 0
    assert scans > 0
    assert float(state.alloc_stalls[0]) > 0
    # Programs themselves were pushed out of memory, and had to be read again.
    assert float(state.major_faults[0]) > faults
    assert mib(state.available_memory) > 150


def test_swap_takes_what_does_not_fit_and_gives_it_back() -> None:
    state = boot(swap_size=128 * MIB)
    once = grow(state, 20 * MIB)
    while mib(state.anonymous + state.swapped) < 260:
        assert not once().killed[0]
    assert mib(state.swap_out) >= mib(state.swapped) > 40
    used = {"hold": 260.0 * MIB, "touched": 40 * MIB * DT}
    (outcome,) = live(state, DT, **used)
    assert mib(outcome.swapped_in) > 0
    assert float(state.major_faults[0]) > 0
    # What is given back is in memory and in the swap, in the same proportion.
    live(state, DT, hold=130 * MIB)
    assert 20 < mib(state.swapped) < 40
    live(state, 30.0, hold=130 * MIB, touched=40 * MIB * DT)
    assert mib(state.swapped) < 2
    assert float(state.oom_kills[0]) == 0


def test_what_is_written_is_dirty_until_it_is_on_the_disk() -> None:
    state = boot()
    live(state, DT, written=30 * MIB)
    assert mib(state.dirty) == 30
    live(state, 1.0)
    assert mib(state.dirty) == 0
    assert mib(state.cache) == 30
    live(state, DT, written=500 * MIB)
    assert mib(state.dirty) < 60  # programs may not fill memory with it


def test_the_balloon_takes_free_memory_first_and_files_then() -> None:
    state = boot()
    live(state, 10.0, hold=20 * MIB, read=15 * MIB, read_span=100 * MIB)
    wanted = np.array([60.0 * MIB])
    assert mib(inflate(state, wanted)) == 60
    assert mib(state.cache) == 100
    assert mib(inflate(state, wanted)) == 60
    assert mib(state.cache) < 60
    assert mib(state.balloon) == 120
    assert mib(state.total_memory) == mib(boot().total_memory) - 120
    assert float(state.async_reclaims[0]) > 0
    assert mib(deflate(state, np.array([500.0 * MIB]))) == 120


def test_a_balloon_that_finds_no_more_kills_nobody() -> None:
    state = boot()
    live(state, 1.0, hold=100 * MIB)
    got = [mib(inflate(state, np.array([MIB * 1.0]))) for _ in range(200)]
    assert got[-1] == 0
    stall = live(state, 2.0, hold=100 * MIB, touched=4 * MIB)
    assert float(state.oom_kills[0]) == 0
    assert mib(state.anonymous) == 100
    # It has taken most of what is in constant use, which comes and goes now.
    assert 0 < mib(state.hot_cache) < 10
    assert mib(stall[-1].refaulted) > 0


def test_a_balloon_gives_back_before_anything_is_killed_if_it_may() -> None:
    states = {may: boot(deflate_on_oom=may) for may in (True, False)}
    for may, state in states.items():
        inflate(state, np.array([150.0 * MIB]))
        outcomes = live(state, 1.0, hold=100 * MIB)
        assert float(state.oom_kills[0]) == (0 if may else len(outcomes))
    state = states[True]
    short = outcome_short(state)
    assert short > 0
    deflate(state, np.array([short]))
    live(state, DT, hold=100 * MIB)
    assert mib(state.anonymous) == 100


def outcome_short(state: State) -> float:
    return float(live(state, DT, hold=100 * MIB)[0].short[0])


def test_total_memory_of_who_may_deflate_stays() -> None:
    state = boot(deflate_on_oom=True)
    total = mib(state.total_memory)
    inflate(state, np.array([50.0 * MIB]))
    assert mib(state.total_memory) == total
