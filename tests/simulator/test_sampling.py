"""Sampling: who is asked when, what is lost, what arrives late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, BoolArray, FloatArray
from aerostat.errors import UsageError
from aerostat.simulator.chance import uniform
from aerostat.simulator.sampling import Drivers, Sampler, Sampling

COUNT = 400
GUESTS = np.arange(COUNT, dtype=np.uint64)
ALL = np.ones(COUNT, dtype=np.bool_)


def sampler(period: float = 1.0, delay: float = 0.0, loss: float = 0.0, seed: int = 0) -> Sampler:
    return Sampler(GUESTS, Sampling(period, delay, loss), tick=1.0, seed=seed)


def table(value: float) -> FloatArray:
    return np.full((COUNT, STATISTICS), value)


def sent(to: Sampler, now: float, who: BoolArray = ALL) -> BoolArray:
    """Let a tick pass; what guests send is the time."""
    asked = to.ask(now, who)
    to.send(now, asked, table(now))
    return asked


def test_a_sample_of_every_tick_is_there_at_once() -> None:
    there = sampler(delay=0.05)
    for now in range(5):
        assert sent(there, float(now)).all()
        assert (there.statistics == now).all()
        assert (there.time == now).all()
    assert there.lag == 0.05


def test_samples_arrive_as_late_as_they_are() -> None:
    late = sampler(delay=3.0)
    for now in range(3):
        sent(late, float(now))
        assert np.isnan(late.time).all()
    for now in range(3, 9):
        sent(late, float(now))
        assert (late.time == now - 3).all()
        assert (late.statistics == now - 3).all()


def test_a_period_gives_each_guest_a_moment_of_its_own() -> None:
    slow = sampler(period=10.0)
    asked = np.array([sent(slow, float(now)) for now in range(41)])[1:]

    assert (asked.sum(axis=0) == 4).all()
    assert asked.sum(axis=1).min() > COUNT / 10 / 2
    assert (asked[10:20] == asked[20:30]).all()


def test_as_many_are_lost_as_was_said() -> None:
    lossy = sampler(loss=0.25)
    came = [sent(lossy, float(now)).mean() for now in range(50)]

    assert np.mean(came) == pytest.approx(0.75, abs=0.02)
    assert np.std(came) > 0


def test_who_is_not_there_sends_nothing() -> None:
    some = GUESTS % np.uint64(3) == 0
    there = sampler()

    assert (sent(there, 0.0, some) == some).all()
    assert (np.isnan(there.time) == ~some).all()


@given(st.integers(0, 2**32), st.integers(-1, 2**20))
def test_chance_is_each_guests_own(seed: int, moment: int) -> None:
    every = uniform(GUESTS, seed, moment)

    assert ((every >= 0) & (every < 1)).all()
    assert (uniform(GUESTS[7:8], seed, moment) == every[7:8]).all()
    assert abs(every.mean() - 0.5) < 0.1
    assert (uniform(GUESTS, seed + 1, moment) != every).any()


def test_the_dialect_of_all_is_that_of_who_has_none_of_their_own() -> None:
    drivers = Drivers(["16", "windows", "liar", "16", "silent"], "6")
    told = drivers.tell(np.full((5, STATISTICS), 7.0), 3.0)

    assert np.isfinite(told).sum(axis=1).tolist() == [6, 10, 6, 6, 0]
    assert told[2, Tag.FREE_MEMORY] == 0.0
    assert (told[[0, 3], :6] == 7.0).all()


def test_without_one_everybody_tells_what_is_theirs() -> None:
    drivers = Drivers(["16", "10", "liar"], None)
    told = drivers.tell(np.full((3, STATISTICS), 7.0), 3.0)

    assert np.isfinite(told).sum(axis=1).tolist() == [16, 10, 16]
    with pytest.raises(UsageError, match="windows"):
        Drivers(["17"], None)


@pytest.mark.parametrize("wrong", [(0.0, 0.0, 0.0), (1.0, -1.0, 0.0), (1.0, 0.0, 1.5)])
def test_sampling_is_checked(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError):
        Sampling(*wrong)
