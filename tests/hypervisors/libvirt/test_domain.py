"""What is known of a domain: how old its figures are, when it is busy, when it is asked."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import BlockReads, Reading
from aerostat.hypervisors.libvirt.domain import Domain, Moment
from aerostat.hypervisors.libvirt.domain_xml import Setup
from aerostat.hypervisors.libvirt.values import Figures, Record

GIB = 1 << 30
WALL = 1_000_000.0
"""How far the wall clock is ahead in these tests."""

SETUP = Setup(
    balloon=True,
    alias="balloon0",
    deflate_on_oom=True,
    free_page_reporting=False,
    period=2,
    huge_pages=False,
    locked_memory=False,
    passthrough=False,
    agent_channel=False,
    agent_connected=False,
    settings={},
)


def moment(time: float, ahead: float = WALL) -> Moment:
    return Moment(time, time + ahead)


def figures(made_at: float, **statistics: int) -> Figures:
    """Return figures that the guest made at a time of our own clock."""
    return Figures(int(made_at + WALL), {Tag.FREE_MEMORY: int(made_at * 1000)})


def a_record(**changes: Any) -> Record:
    whole: dict[str, Any] = {
        "state": 1,
        "max_size": GIB,
        "guest_size": GIB,
        "asked": True,
        "figures": figures(5.0),
        "held": 64 << 20,
        "block_reads": None,
    }
    return Record(**{**whole, **changes})


def look(
    domain: Domain, time: float, ahead: float = WALL, *, blocks: bool = False, **changes: Any
) -> Reading | AerostatError:
    """Have the domain take in what libvirt says, asked and answered at `time`."""
    domain.take(a_record(**changes), moment(time, ahead), moment(time, ahead), blocks=blocks)
    return domain.reading()


@pytest.fixture
def domain() -> Domain:
    domain = Domain("u", "web1", 1, "qemu:///system")
    domain.learn(SETUP, None)
    return domain


def test_the_first_figures_have_no_age(domain: Domain) -> None:
    reading = look(domain, 10.0)

    assert isinstance(reading, Reading)
    assert reading.sampled_at is None
    assert reading.statistics == {}


def test_new_figures_are_no_older_than_the_last_look(domain: Domain) -> None:
    look(domain, 10.0)
    reading = look(domain, 12.0, figures=Figures(1, {Tag.FREE_MEMORY: 1}))

    assert isinstance(reading, Reading)
    assert reading.sampled_at == 10.0


def test_nor_older_than_the_second_that_libvirt_tells(domain: Domain) -> None:
    look(domain, 10.0)
    reading = look(domain, 20.0, figures=figures(18.7))

    assert isinstance(reading, Reading)
    assert reading.sampled_at == pytest.approx(18.0)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_was_set_is_not_believed(domain: Domain, step: float) -> None:
    look(domain, 10.0)
    reading = look(domain, 20.0, WALL + step, figures=figures(18.7))

    assert isinstance(reading, Reading)
    assert reading.sampled_at == 10.0


def test_the_same_figures_grow_older(domain: Domain) -> None:
    look(domain, 10.0)
    look(domain, 12.0, figures=figures(11.5))
    reading = look(domain, 60.0, figures=figures(11.5))

    assert isinstance(reading, Reading)
    assert reading.sampled_at == pytest.approx(11.0)


def test_figures_that_were_reset_are_none(domain: Domain) -> None:
    look(domain, 10.0)
    look(domain, 12.0, figures=figures(11.5))
    reading = look(domain, 14.0, figures=Figures(0, {}))

    assert isinstance(reading, Reading)
    assert reading.sampled_at is None
    assert reading.statistics == {}


def test_after_a_reboot_the_figures_of_before_are_not_shown(domain: Domain) -> None:
    look(domain, 10.0)
    look(domain, 12.0, figures=figures(11.5))
    domain.restarted()
    before = look(domain, 14.0, figures=figures(11.5))
    after = look(domain, 16.0, figures=figures(15.5))

    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    assert before.sampled_at is None
    assert after.sampled_at == pytest.approx(15.0)


@settings(max_examples=50)
@given(
    looks=st.lists(
        st.tuples(
            st.floats(0.1, 20),
            st.none() | st.floats(0, 1, exclude_max=True),
            st.sampled_from([0.0, 0.0, 1.0, -30.0, 4000.0]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_figures_are_never_taken_for_younger_than_they_are(
    looks: list[tuple[float, float | None, float, bool]],
) -> None:
    """Whatever the distances of looks and samples, and however the clock is set between them."""
    domain = Domain("u", "web1", 1, "qemu:///system")
    domain.learn(SETUP, None)
    time, ahead, made_at = 100.0, WALL, 99.0
    told = figures(made_at)
    look(domain, time, ahead, figures=told)
    for number, (distance, part, step, step_first) in enumerate(looks):
        if part is not None:
            made_at = time + distance * (1 - part)
            clock = ahead + step if step_first else ahead
            told = Figures(int(made_at + clock), {Tag.FREE_MEMORY: number})
        time, ahead = time + distance, ahead + step
        reading = look(domain, time, ahead, figures=told)

        assert isinstance(reading, Reading)
        assert reading.sampled_at is None or reading.sampled_at <= made_at + 1e-6


def test_one_that_is_held_for_a_moment_keeps_its_figures(domain: Domain) -> None:
    look(domain, 10.0)
    look(domain, 12.0, figures=figures(11.5))
    reading = look(domain, 13.0, asked=False, figures=None, held=None)

    assert domain.busy
    assert isinstance(reading, Reading)
    assert reading.sampled_at == pytest.approx(11.0)
    assert reading.held == 64 << 20


def test_one_that_is_held_for_long_is_said_to_hang(domain: Domain) -> None:
    look(domain, 10.0)
    look(domain, 12.0, asked=False, figures=None)
    later = look(domain, 15.0, asked=False, figures=None)

    assert isinstance(later, LinkError)
    assert "has not answered for 3 s" in str(later)
    assert isinstance(look(domain, 16.0), Reading)


def test_one_without_a_balloon_says_what_it_lacks(domain: Domain) -> None:
    domain.learn(SETUP._replace(balloon=False), None)
    reading = look(domain, 10.0, figures=None)

    assert isinstance(reading, LinkError)
    assert "<memballoon model='virtio'/>" in str(reading)


def test_one_that_is_shut_off_is_an_error(domain: Domain) -> None:
    assert isinstance(look(domain, 10.0, state=5, asked=False, figures=None), LinkError)


def test_what_disks_have_read_is_told_once(domain: Domain) -> None:
    reads = BlockReads(512, 1)
    first = look(domain, 10.0, blocks=True, block_reads=reads)
    second = look(domain, 11.0)

    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert (first.block_reads, second.block_reads) == (reads, None)


def test_disks_are_asked_now_and_then_and_more_often_of_the_squeezed(domain: Domain) -> None:
    assert domain.wants_blocks(9.0)
    look(domain, 10.0, blocks=True)
    assert not domain.wants_blocks(39.0)
    assert domain.wants_blocks(40.0)
    look(domain, 41.0, blocks=True, guest_size=GIB // 2)
    look(domain, 80.0, blocks=True, guest_size=GIB // 2)
    assert not domain.wants_blocks(89.0)
    assert domain.wants_blocks(90.0)


def test_disks_are_asked_each_time_while_the_balloon_moves(domain: Domain) -> None:
    look(domain, 10.0, blocks=True)
    look(domain, 11.0, guest_size=GIB // 2, blocks=True)
    assert domain.wants_blocks(12.0)
    look(domain, 40.0, guest_size=GIB // 2, blocks=True)
    assert not domain.wants_blocks(42.0)


@pytest.mark.parametrize(
    ("found", "periods", "put_back"), [(0, [5], 0), (60, [0, 5], 60), (2, [0, 2], None)]
)
def test_a_period_of_none_or_too_long_is_ours(
    domain: Domain, found: int, periods: list[int], put_back: int | None
) -> None:
    domain.learn(SETUP._replace(period=found), None)

    assert domain.periods(5) == periods
    assert domain.period_found == put_back


def test_a_period_that_was_set_once_is_set_again_by_way_of_0(domain: Domain) -> None:
    domain.learn(SETUP._replace(period=0), None)
    domain.periods(5)
    domain.learn(SETUP._replace(period=5), None)

    assert domain.periods(5) == [0, 5]
    assert domain.period_found == 0


def test_a_silent_guest_is_asked_ever_less_often(domain: Domain) -> None:
    look(domain, 0.0)
    asked = []
    for time in range(10_000):
        if domain.wants_request(float(time), 4.0):
            domain.requested(float(time), 4.0)
            asked.append(time)

    distances = [later - sooner for sooner, later in pairwise(asked)]
    assert distances[:4] == [4, 8, 16, 32]
    assert max(distances) == 300


def test_one_that_answers_is_not_asked(domain: Domain) -> None:
    look(domain, 0.0)
    look(domain, 1.0, figures=figures(0.5))

    assert not domain.wants_request(4.0, 4.0)
    assert domain.wants_request(5.5, 4.0)


def test_figures_of_the_monitor_are_added_to_those_of_the_same_sample(domain: Domain) -> None:
    look(domain, 0.0)
    look(domain, 1.0, figures=figures(0.5))
    assert domain.wants_monitor()
    domain.take_from_monitor(
        Figures(int(0.5 + WALL), {Tag.FREE_MEMORY: 1, Tag.OOM_KILLS: 3, Tag.DIRECT_SCANS: 4})
    )
    reading = domain.reading()
    later = look(domain, 3.0, figures=figures(2.5))

    assert isinstance(reading, Reading)
    assert isinstance(later, Reading)
    assert reading.statistics == {Tag.FREE_MEMORY: 500, Tag.OOM_KILLS: 3, Tag.DIRECT_SCANS: 4}
    assert later.statistics == {Tag.FREE_MEMORY: 2500}


def test_a_monitor_that_tells_no_more_is_left_alone(domain: Domain) -> None:
    look(domain, 0.0)
    look(domain, 1.0, figures=figures(0.5))
    domain.take_from_monitor(Figures(int(0.5 + WALL), {Tag.FREE_MEMORY: 1}))
    look(domain, 3.0, figures=figures(2.5))

    assert not domain.wants_monitor()
