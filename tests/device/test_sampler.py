"""Samples: one round trip for all who wait, a limit for each, and an interval."""

from collections.abc import Iterator

import pytest

from aerostat.device.loop import Loop
from aerostat.device.sampler import MAX_WAITING, Sampler


class Guest:
    """Counts what it is asked, and answers when told."""

    def __init__(self, loop: Loop) -> None:
        self.asked = 0
        self.sampler = Sampler(loop, self.ask)

    def ask(self) -> bool:
        self.asked += 1
        return True


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def guest(loop: Loop) -> Guest:
    return Guest(loop)


def pass_time(loop: Loop, seconds: float) -> None:
    loop.call_later(seconds, loop.stop)
    loop.run()


def test_all_who_wait_are_answered_by_one_arrival(guest: Guest) -> None:
    answers: list[bool] = []
    for _ in range(3):
        assert guest.sampler.request(10, answers.append)
    guest.sampler.arrived({4: 5})
    assert answers == [True] * 3
    assert guest.sampler.latest is not None
    assert guest.sampler.latest.statistics == {4: 5}
    guest.sampler.arrived({4: 6})
    assert answers == [True] * 3


def test_each_waits_no_longer_than_its_own_limit(loop: Loop, guest: Guest) -> None:
    answers: list[tuple[str, bool]] = []
    guest.sampler.request(0.01, lambda fresh: answers.append(("short", fresh)))
    guest.sampler.request(10, lambda fresh: answers.append(("long", fresh)))
    pass_time(loop, 0.02)
    assert answers == [("short", False)]
    guest.sampler.arrived({})
    assert answers == [("short", False), ("long", True)]


def test_so_many_may_wait_and_no_more(guest: Guest) -> None:
    answers: list[bool] = []
    for _ in range(MAX_WAITING):
        assert guest.sampler.request(10, answers.append)
    assert not guest.sampler.request(10, answers.append)
    guest.sampler.arrived({})
    assert len(answers) == MAX_WAITING


def test_an_answer_may_lead_to_the_next_request(guest: Guest) -> None:
    answers: list[bool] = []

    def ask_again(_fresh: bool) -> None:
        guest.sampler.request(10, answers.append)

    guest.sampler.request(10, ask_again)
    guest.sampler.arrived({})
    assert answers == []
    guest.sampler.arrived({})
    assert answers == [True]


def test_only_a_changed_interval_has_an_effect_and_then_at_once(loop: Loop, guest: Guest) -> None:
    guest.sampler.interval = 5
    guest.sampler.interval = 5
    assert guest.asked == 1
    guest.sampler.interval = 0
    guest.sampler.interval = 5
    assert guest.asked == 2
    assert guest.sampler.interval == 5
    guest.sampler.interval = 0
    pass_time(loop, 0.01)
    assert guest.asked == 2


def test_a_new_driver_is_not_taken_for_the_old(guest: Guest) -> None:
    guest.sampler.arrived({4: 5})
    guest.sampler.forget()
    assert guest.sampler.latest is None
