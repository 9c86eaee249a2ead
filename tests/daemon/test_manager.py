"""The loop, under a clock that the test moves and guests that live in memory."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aerostat.daemon.config import parse
from aerostat.daemon.manager import Manager
from aerostat.daemon.savefile import SaveFile
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.errors import LinkError, MissingError, UsageError
from aerostat.host.budget import HostReading
from aerostat.hypervisors.base import GuestInfo
from aerostat.testing.mocks.clock import VirtualClock
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.testing.mocks.house import House
from aerostat.units import GIB, MIB


def known(value: float | None) -> float:
    assert value is not None
    return value


def idle(guest: FakeGuest) -> FakeGuest:
    """Have the guest report that it uses a quarter of what it has."""
    guest.uses(guest.guest_size * 3 // 4)
    return guest


async def test_observe_mode_never_sets_anything_and_still_says_what_it_would_do(
    house: House,
) -> None:
    house.budget = 600 * MIB
    for name in "abc":
        idle(house.add(name, held=400 * MIB))
    await house.start(parse({}, "test"))
    await house.clock.advance(60)
    assert house.connector.sent == []
    assert house.last.mode == "observe"
    assert house.last.moves == house.last.failures == 0
    assert {move.outcome for move in house.moves} == {"observed"}
    assert {move.key for move in house.moves} == {"fake:a", "fake:b", "fake:c"}
    assert any(known(guest.target_size) < known(guest.guest_size) for guest in house.last.guests)
    # An observer asks for nothing, so no guest can be stuck.
    assert {guest.condition for guest in house.last.guests} == {"fresh"}


async def test_a_manager_brings_an_idle_house_under_its_budget(house: House) -> None:
    house.budget = 900 * MIB
    for name in "abc":
        idle(house.add(name, held=400 * MIB))
    await house.start()
    for _ in range(60):
        for guest in house.connector.fakes.values():
            idle(guest)
            guest.held = min(guest.held or 0, guest.guest_size)
        await house.clock.advance(1)
    assert sum(guest.held or 0 for guest in house.connector.fakes.values()) <= 900 * MIB
    assert house.last.moves > 0
    assert house.last.taken > 0
    assert house.last.hosts[0].budget == 900 * MIB
    assert all(guest.guest_size >= 128 * MIB for guest in house.connector.fakes.values())


async def test_a_hungry_guest_is_grown(house: House) -> None:
    house.budget = 2 * GIB
    guest = house.add("hungry", guest_size=256 * MIB, held=250 * MIB)
    guest.uses(4 * MIB)
    await house.start()
    await house.clock.advance(3)
    assert guest.guest_size > 256 * MIB
    row = house.last.guests[0]
    assert row.last_move
    assert row.last_move_age is not None
    assert house.last.given > 0


async def test_a_hung_guest_delays_others_once_and_then_never(house: House) -> None:
    for name in "abc":
        house.add(name).uses(300 * MIB)
    await house.start()
    await house.clock.advance(3.5)
    house.connector.hung.add("fake:b")
    await house.clock.advance(2)  # all are at rest by now, and looked at every other second
    assert max(shown.tick_duration for shown in house.shown) == pytest.approx(0.4)  # of 0.5 s
    await house.clock.advance(10)
    assert {shown.tick_duration for shown in house.shown[-9:]} == {0.0}
    ages = {guest.name: guest.sample_age for guest in house.last.guests}
    assert known(ages["a"]) <= 1
    assert known(ages["c"]) <= 1
    assert known(ages["b"]) > 9
    hung = next(guest for guest in house.last.guests if guest.name == "b")
    assert hung.error == "no answer"
    assert hung.condition == "stale"
    house.connector.hung.clear()
    await house.clock.advance(2)
    assert [guest.error for guest in house.last.guests] == [None, None, None]


async def test_a_connector_that_never_answers_costs_only_its_own_guests(
    house: House, clock: VirtualClock
) -> None:
    class Deaf(FakeConnector):
        name = "deaf"

        async def guests(self) -> list[GuestInfo]:
            await asyncio.Event().wait()
            return []

    house.add("a").uses(300 * MIB)
    await house.start(connectors=[Deaf(), house.connector])
    await clock.advance(5.6)
    assert [guest.name for guest in house.last.guests] == ["a"]
    assert house.last.tick >= 5
    assert house.last.guests[0].sample_age == pytest.approx(0.5)  # the limit, waited for the deaf
    assert any("connector deaf: no answer" in text for text in house.last.problems)


async def test_a_connector_that_raises_is_a_problem_and_no_more(house: House) -> None:
    class Broken(FakeConnector):
        name = "broken"

        async def guests(self) -> list[GuestInfo]:
            raise ZeroDivisionError("\x1b[2J")

    house.add("a").uses(300 * MIB)
    await house.start(connectors=[Broken(), house.connector])
    await house.clock.advance(3)
    assert house.last.problems == ("connector broken: ZeroDivisionError: ?[2J",)
    assert len(house.last.guests) == 1


async def test_requests_are_never_stacked(house: House) -> None:
    house.budget = 400 * MIB
    stubborn = idle(house.add("stubborn", held=500 * MIB))
    await house.start()
    house.connector.hung.add(stubborn.key)
    await house.clock.advance(20)
    assert set(house.connector.most_under_way.values()) == {1}
    assert house.last.failures > 0
    tries = [time for time, key, _ in house.connector.sent if key == stubborn.key]
    # One at a time, each as long as the request's limit; so not one a tick.
    assert all(later - earlier >= 2.0 for earlier, later in pairwise(tries))
    assert len(tries) > 3


async def test_a_grow_that_failed_is_sent_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.budget = 2 * GIB
    guest = house.add("hungry", guest_size=256 * MIB, held=250 * MIB)
    guest.uses(4 * MIB)
    failures = iter([LinkError("refused"), LinkError("refused")])
    original = house.connector.set_target

    async def refuse_twice(key: str, size: int, limit: float) -> None:
        error = next(failures, None)
        if error:
            raise error
        await original(key, size, limit)

    monkeypatch.setattr(house.connector, "set_target", refuse_twice)
    await house.start()
    await house.clock.advance(4)
    assert guest.guest_size > 256 * MIB
    assert house.last.failures == 2
    outcomes = [move.outcome for move in house.moves]
    assert outcomes[0] == "failed: refused"
    assert "accepted" in outcomes


async def test_guests_come_and_go(house: House) -> None:
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(2)
    house.add("b").uses(300 * MIB)
    await house.clock.advance(2)
    assert [guest.name for guest in house.last.guests] == ["a", "b"]
    del house.connector.fakes["fake:a"]
    await house.clock.advance(2)
    assert [guest.name for guest in house.last.guests] == ["b"]
    with pytest.raises(UsageError, match="no such guest"):
        house.manager.explain("fake:a")


async def test_a_guest_that_never_answered_is_shown_with_its_error(house: House) -> None:
    house.add("a", fault=LinkError("refused"))
    await house.start()
    await house.clock.advance(2)
    row = house.last.guests[0]
    assert (row.condition, row.error, row.max_size) == ("unreachable", "refused", None)
    assert house.manager.explain("fake:a") == "a cannot be read: refused"


@pytest.mark.parametrize(
    "fields",
    [
        {"max_size": -1, "guest_size": -1},
        {"max_size": 1 << 80, "guest_size": 5},
        {"guest_size": 1 << 70},
        {"held": -5},
        {"held": 1 << 90},
        {"statistics": {4: 1 << 200, 6: -7, 99: 1 << 64, -3: 0, 0: 1 << 63}},
        {"max_size": 0, "guest_size": 0},
    ],
)
async def test_absurd_figures_cost_only_their_own_guest(
    house: House, fields: dict[str, Any]
) -> None:
    house.add("good").uses(300 * MIB)
    absurd = house.add("absurd\x1b[2J\n" + "x" * 400)
    for field, value in fields.items():
        setattr(absurd, field, value)
    await house.start()
    await house.clock.advance(5)
    good = next(guest for guest in house.last.guests if guest.name == "good")
    assert good.condition == "fresh"
    bad = next(guest for guest in house.last.guests if guest.name != "good")
    assert bad.name.isprintable()
    assert len(bad.name) <= 80
    assert all("have never answered" in text for text in house.last.problems)


async def test_a_guest_with_an_endless_key_is_left_out_and_said_so(house: House) -> None:
    house.add("x" * 5000).uses(300 * MIB)
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(2)
    assert [guest.name for guest in house.last.guests] == ["a"]
    assert "left out guests whose keys are too long or not unique: 1" in house.last.problems[0]


async def test_two_guests_with_one_key_are_one(house: House) -> None:
    twin = FakeConnector(FakeGuest("a", statistics={6: 1}), clock=house.clock.monotonic)
    house.add("a").uses(300 * MIB)
    await house.start(connectors=[house.connector, twin])
    await house.clock.advance(2)
    assert len(house.last.guests) == 1


async def test_a_fault_in_the_engine_does_not_end_the_manager(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(2)
    monkeypatch.setattr("aerostat.daemon.thinking.step", lambda *_: 1 / 0)
    await house.clock.advance(2)
    assert "ZeroDivisionError" in house.last.problems[0]
    assert [guest.name for guest in house.last.guests] == ["a"]
    monkeypatch.undo()
    await house.clock.advance(2)
    assert house.last.problems == ()


async def test_a_fault_in_a_tick_does_not_end_the_manager(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add("a").uses(300 * MIB)
    await house.start()
    before = house.last.tick
    with monkeypatch.context() as broken:
        broken.setattr("aerostat.daemon.tick.host_rows", lambda *_: 1 / 0)
        await house.clock.advance(2)
    await house.clock.advance(1)
    assert house.last.tick >= before + 3
    assert "ZeroDivisionError" in house.last.problems[0]
    await house.clock.advance(1)
    assert not house.last.problems


async def test_a_view_that_fails_is_left_out(house: House) -> None:
    house.add("a").uses(300 * MIB)
    manager = await house.start()
    calls: list[int] = []

    def broken(snapshot: Snapshot, _: Sequence[MoveRow]) -> None:
        calls.append(snapshot.tick)
        raise ZeroDivisionError

    manager.watchers.insert(0, broken)
    await house.clock.advance(3)
    assert len(calls) == 1
    assert house.last.tick > calls[0]


async def test_a_host_that_cannot_be_read_is_a_problem(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add("a").uses(300 * MIB)
    answers: dict[str, Exception] = {"error": MissingError("no /proc")}

    def host(held: int) -> HostReading:
        if answers:
            raise answers["error"]
        return HostReading(GIB, GIB, GIB)

    monkeypatch.setattr(house, "host", host)
    await house.start()
    await house.clock.advance(2)
    assert list(house.last.problems) == ["no /proc"]
    assert house.last.guests[0].max_size == 512 * MIB  # what was read is shown all the same
    assert not house.last.hosts
    answers.clear()
    await house.clock.advance(1)
    assert not house.last.problems
    assert house.last.hosts[0].budget == GIB


async def test_steps_of_the_wall_clock_change_no_decision(house: House) -> None:
    house.budget = 400 * MIB
    guest = idle(house.add("a", held=500 * MIB))
    await house.start()
    await house.clock.advance(5)
    guest.held = guest.guest_size
    house.clock.jump_wall(-1e8)
    ticks = house.last.tick
    await house.clock.advance(5)
    house.clock.jump_wall(1e9)
    await house.clock.advance(5)
    assert house.last.tick == ticks + 10
    assert house.last.guests[0].condition == "fresh"
    assert known(house.last.guests[0].last_move_age) < 20


async def test_a_tick_that_took_too_long_is_not_made_up_for_by_a_burst(house: House) -> None:
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(3)
    before = house.last.tick

    def block(_: Snapshot, __: Sequence[MoveRow]) -> None:
        house.clock._now += 100  # a suspended machine, or a view that blocks the loop
        house.manager.watchers.remove(block)

    house.manager.watchers.append(block)
    await house.clock.advance(2)
    assert house.last.tick - before <= 3


async def test_rates_are_made_from_counters_and_survive_a_reset(house: House) -> None:
    guest = house.add("a")
    guest.uses(300 * MIB)
    guest.statistics |= {2: 1000, 1: 0}
    await house.start()
    guest.statistics |= {2: 1500, 1: 4096}
    await house.clock.advance(1)
    row = house.last.guests[0]
    assert (row.major_fault_rate, row.swap_out_rate, row.swap_in_rate) == (500.0, 4096.0, None)
    guest.statistics |= {2: 3}
    await house.clock.advance(1)
    assert house.last.guests[0].major_fault_rate is None


class TestPins:
    async def test_a_pinned_size_is_kept_until_it_is_released(self, house: House) -> None:
        house.budget = 4 * GIB
        guest = idle(house.add("a"))
        manager = await house.start()
        await house.clock.advance(2)
        manager.set_target("fake:a", 300 * MIB)
        await house.clock.advance(30)
        assert guest.guest_size == 300 * MIB
        assert house.last.guests[0].pinned == 300 * MIB
        manager.set_target("fake:a", None)
        await house.clock.advance(60)
        assert guest.guest_size > 300 * MIB
        assert house.last.guests[0].pinned is None

    async def test_refused_when_the_manager_only_observes(self, house: House) -> None:
        house.add("a").uses(300 * MIB)
        manager = await house.start(parse({}, "test"))
        with pytest.raises(UsageError, match="only observes"):
            manager.set_target("fake:a", 300 * MIB)

    @pytest.mark.parametrize("size", [0, 127 * MIB, 513 * MIB, 1 << 60, -1])
    async def test_refused_below_the_guarantee_and_above_the_ceiling(
        self, house: House, size: int
    ) -> None:
        house.add("a").uses(300 * MIB)
        manager = await house.start()
        with pytest.raises(UsageError, match="from 128 MiB to 512 MiB"):
            manager.set_target("fake:a", size)

    async def test_refused_for_an_exempt_guest_and_an_unread_one(self, house: House) -> None:
        house.add("a").uses(300 * MIB)
        house.add("b", fault=LinkError("refused"))
        config = parse({"manage": True, "guest": {"a": {"managed": False}}}, "test")
        manager = await house.start(config)
        with pytest.raises(UsageError, match="exempts"):
            manager.set_target("fake:a", 300 * MIB)
        with pytest.raises(UsageError, match="not answered"):
            manager.set_target("fake:b", 300 * MIB)


class TestExitAndReturn:
    async def test_exit_holds_by_default(self, house: House) -> None:
        guest = idle(house.add("a", guest_size=300 * MIB))
        manager = await house.start()
        manager.set_target("fake:a", 256 * MIB)
        await house.clock.advance(20)
        sent = len(house.connector.sent)
        await house.stop()
        assert guest.guest_size == 256 * MIB
        assert len(house.connector.sent) == sent
        assert house.connector.closed

    async def test_release_gives_back_only_what_the_budget_covers(self, house: House) -> None:
        house.budget = 1000 * MIB
        guests = [idle(house.add(name, guest_size=256 * MIB, held=256 * MIB)) for name in "abc"]
        manager = await house.start(parse({"manage": True, "on_exit": "release"}, "test"))
        for guest in guests:
            manager.set_target(guest.key, 256 * MIB)
        await house.clock.advance(5)
        await house.stop()
        sizes = [guest.guest_size for guest in guests]
        assert all(size > 256 * MIB for size in sizes)
        assert sum(sizes) <= 1000 * MIB
        assert sum(sizes) > 999 * MIB

    async def test_a_request_under_way_at_exit_is_waited_for_and_given_up(
        self, house: House
    ) -> None:
        house.budget = 300 * MIB
        guest = idle(house.add("a", held=500 * MIB))
        await house.start()
        house.connector.hung.add(guest.key)
        await house.clock.advance(3)
        began = house.clock.monotonic()
        await house.stop()
        assert house.clock.monotonic() - began < 10
        assert house.connector.under_way == []

    async def test_a_killed_manager_carries_on(self, house: House, tmp_path: Path) -> None:
        house.budget = 700 * MIB
        for name in "ab":
            idle(house.add(name, held=450 * MIB))
        path = tmp_path / "state.json"
        save_file = SaveFile(path)
        manager = await house.start(save_file=save_file)
        await house.clock.advance(2)
        manager.set_target("fake:b", 400 * MIB)
        await house.clock.advance(19)
        save_file.finish(10)
        # What a kill at this moment leaves: the file as it was last saved, and the balloons.
        left = tmp_path / "left.json"
        left.write_bytes(path.read_bytes())
        first, second = house.last.guests
        await house.stop()
        house.shown.clear()
        await house.start(save_file=SaveFile(left))
        again = house.last.guests
        assert again[1].pinned == second.pinned == 400 * MIB
        assert known(again[0].demand) == pytest.approx(first.demand, rel=0.05)
        # Nothing is let go by the restart itself.
        assert known(again[0].guest_size) <= known(first.guest_size)
        assert known(again[1].guest_size) <= known(second.guest_size)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"version": 1}', '{"version": 9}', "[" * 100000, "\x00" * 64]
    )
    async def test_a_state_file_that_cannot_be_used_is_kept_aside(
        self, house: House, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "state.json"
        path.write_text(text, encoding="ascii")
        house.add("a").uses(300 * MIB)
        await house.start(save_file=SaveFile(path))
        await house.clock.advance(2)
        assert house.last.guests[0].condition == "fresh"
        assert (tmp_path / "state.json.bad").read_text(encoding="ascii") == text

    async def test_a_state_directory_that_cannot_be_written_is_a_problem(
        self, house: House, tmp_path: Path
    ) -> None:
        house.add("a").uses(300 * MIB)
        save_file = SaveFile(tmp_path / "gone" / "state.json")
        await house.start(save_file=save_file)
        await house.clock.advance(11)
        save_file.finish(5)
        await house.clock.advance(1)
        assert any("cannot be written" in text for text in house.last.problems)


def test_a_manager_can_be_made_outside_a_loop(clock: VirtualClock) -> None:
    manager = Manager(parse({}, "test"), [], host=lambda held: HostReading(1, 1, 1), clock=clock)
    assert manager.snapshot is None
