"""What operators order: holds, releases and reservations, in a house of guests in memory."""

from pathlib import Path

import pytest

from aerostat.daemon.config import parse
from aerostat.daemon.orders import Orders
from aerostat.daemon.reservations import LONGEST_LEASE, MOST, Reservations
from aerostat.daemon.savefile import SaveFile
from aerostat.errors import LinkError, UsageError
from aerostat.testing.mocks.connector import FakeGuest
from aerostat.testing.mocks.house import House
from aerostat.units import GIB, MIB


def idle(guest: FakeGuest) -> FakeGuest:
    """Have the guest report that it uses a quarter of what it has."""
    guest.uses(guest.guest_size * 3 // 4)
    return guest


class TestHolds:
    async def test_a_held_guest_is_not_moved_until_it_is_resumed(self, house: House) -> None:
        house.budget = 400 * MIB
        guest = idle(house.add("a", held=500 * MIB))
        manager = await house.start(parse({}, "test"))
        manager.hold("fake:a", "backup\x1b[2J")
        await house.stop()
        await house.start()
        manager = house.manager
        manager.hold("fake:a", "backup\x1b[2J")
        before = len(house.connector.sent)
        await house.clock.advance(20)
        assert len(house.connector.sent) == before
        assert house.last.guests[0].held_by_operator
        assert "an operator holds it (backup?[2J)" in manager.explain("fake:a")
        assert manager.held_guests == {"fake:a": "backup?[2J"}
        manager.resume("fake:a")
        await house.clock.advance(20)
        assert guest.guest_size < 512 * MIB
        assert not house.last.guests[0].held_by_operator

    async def test_a_dry_run_changes_nothing(self, house: House) -> None:
        idle(house.add("a", guest_size=300 * MIB))
        manager = await house.start()
        manager.hold("fake:a", dry_run=True)
        manager.reserve("b", GIB, 10, dry_run=True)
        manager.set_target("fake:a", 256 * MIB, dry_run=True)
        assert manager.release_guest("fake:a", dry_run=True) == ("fake:a",)
        await house.clock.advance(2)
        row = house.last.guests[0]
        assert (row.held_by_operator, row.pinned, house.last.reservations) == (False, None, ())

    async def test_what_cannot_be(self, house: House) -> None:
        house.add("a").uses(300 * MIB)
        manager = await house.start()
        with pytest.raises(UsageError, match="no such guest"):
            manager.hold("fake:b")
        with pytest.raises(UsageError, match="is not held"):
            manager.resume("fake:a")
        manager.hold("fake:a")
        with pytest.raises(UsageError, match="held by an operator"):
            manager.set_target("fake:a", 300 * MIB)
        with pytest.raises(UsageError, match="held by an operator"):
            manager.release_guest("fake:a")


class TestReleases:
    async def test_a_guest_gets_back_what_the_budget_covers_and_no_more(self, house: House) -> None:
        house.budget = 1000 * MIB
        first, second, third = (
            idle(house.add(name, guest_size=256 * MIB, held=256 * MIB)) for name in "abc"
        )
        config = parse({"manage": True, "guest": {"c": {"managed": False}}}, "test")
        manager = await house.start(config)
        manager.set_target("fake:b", 256 * MIB)
        await house.clock.advance(5)
        assert manager.release_guest("fake:a") == ("fake:a",)
        await house.clock.advance(10)
        sizes = [guest.guest_size for guest in (first, second, third)]
        assert max(first.targets) == (1000 - 512) * MIB
        assert sizes[1:] == [256 * MIB, 256 * MIB]
        # What the host keeps as a pool may be taken again, and be given back again.
        assert manager.release_guest(None) in ((), ("fake:a",))

    async def test_it_is_over_when_it_is_done(self, house: House) -> None:
        house.budget = 2 * GIB
        guest = idle(house.add("a", guest_size=256 * MIB))
        manager = await house.start()
        manager.release_guest("fake:a")
        await house.clock.advance(6)
        assert guest.guest_size == 512 * MIB
        assert house.last.guests[0].pinned is None
        house.budget = 300 * MIB
        guest.held = 500 * MIB
        await house.clock.advance(10)
        assert guest.guest_size < 512 * MIB


class TestReservations:
    async def test_guests_make_room_and_the_guest_that_comes_takes_it(self, house: House) -> None:
        house.budget = 1200 * MIB
        for name in "ab":
            idle(house.add(name, held=200 * MIB))
        manager = await house.start()
        await house.clock.advance(3)
        manager.reserve("web", 600 * MIB, 60)
        assert [row.backed for row in manager.reservations] == [False]
        for _ in range(40):
            for guest in house.connector.fakes.values():
                idle(guest)
            await house.clock.advance(1)
        (row,) = house.last.reservations
        assert (row.name, row.size, row.backed) == ("web", 600 * MIB, True)
        assert 0 < row.left <= 21
        host = house.last.hosts[0]
        assert (host.reserved, host.reserved_backed) == (600 * MIB, 600 * MIB)
        assert sum(guest.guest_size for guest in house.connector.fakes.values()) <= 600 * MIB
        house.add("web", max_size=600 * MIB, held=10 * MIB).uses(500 * MIB)
        await house.clock.advance(2)
        assert house.last.reservations == ()
        assert (house.last.hosts[0].permitted or 0) <= 1200 * MIB

    async def test_a_guest_that_cannot_be_read_does_not_end_it(self, house: House) -> None:
        house.add("a").uses(300 * MIB)
        manager = await house.start()
        manager.reserve("web", 100 * MIB, 60)
        web = house.add("web", fault=LinkError("no answer"))
        await house.clock.advance(3)
        assert [row.name for row in house.last.reservations] == ["web"]
        assert any("never answered, and are in no account: web" in p for p in house.last.problems)
        web.fault = None
        await house.clock.advance(3)
        assert house.last.reservations == ()
        with pytest.raises(UsageError, match="web is here already"):
            manager.reserve("web", 100 * MIB, 60)

    async def test_leases_end_and_are_renewed_by_the_monotonic_clock(self, house: House) -> None:
        manager = await house.start()
        manager.reserve("a", MIB, 10)
        manager.reserve("b", MIB, 10)
        await house.clock.advance(8)
        house.clock.jump_wall(1e6)
        manager.renew("b", 10)
        await house.clock.advance(4)
        assert [row.name for row in house.last.reservations] == ["b"]
        manager.cancel("b")
        await house.clock.advance(1)
        assert house.last.reservations == ()
        with pytest.raises(UsageError, match="nothing is reserved for b"):
            manager.cancel("b")
        with pytest.raises(UsageError, match="nothing is reserved for b"):
            manager.renew("b", 10)

    def test_first_come_first_backed(self) -> None:
        reservations = Reservations()
        for name, size in (("a", 4), ("b", 3), ("c", 2)):
            reservations.make(name, size, 10, 0)
        assert [row.backed for row in reservations.rows(1, 7)] == [True, True, False]
        reservations.make("a", 1, 10, 0)  # changed in its place
        assert [row.backed for row in reservations.rows(1, 6)] == [True, True, True]
        assert reservations.total == 6

    @pytest.mark.parametrize(
        ("name", "size", "lease"),
        [
            ("", 1, 1),
            ("a\n", 1, 1),
            ("a" * 81, 1, 1),
            ("a", 0, 1),
            ("a", 1 << 60, 1),
            ("a", 1, 0),
            ("a", 1, float("nan")),
            ("a", 1, LONGEST_LEASE + 1),
        ],
    )
    def test_what_cannot_be_reserved(self, name: str, size: int, lease: float) -> None:
        with pytest.raises(UsageError):
            Reservations().make(name, size, lease, 0)

    def test_their_number_is_bounded(self) -> None:
        reservations = Reservations()
        for number in range(MOST):
            reservations.make(str(number), 1, 1, 0)
        with pytest.raises(UsageError, match="reservations already"):
            reservations.make("one more", 1, 1, 0)


class TestKept:
    async def test_orders_outlive_a_killed_manager(self, house: House, tmp_path: Path) -> None:
        idle(house.add("a"))
        idle(house.add("b"))
        save_file = SaveFile(tmp_path / "state.json")
        manager = await house.start(save_file=save_file)
        manager.hold("fake:a", "why")
        manager.set_target("fake:b", 300 * MIB)
        manager.reserve("c", GIB, 100)
        await house.clock.advance(1)  # nothing is waited for: it is saved with the next tick
        save_file.finish(10)
        left = tmp_path / "left.json"
        left.write_bytes(save_file.path.read_bytes())
        await house.stop()
        house.shown.clear()
        await house.clock.advance(30)
        manager = await house.start(save_file=SaveFile(left))
        assert manager.held_guests == {"fake:a": "why"}
        assert [guest.pinned for guest in house.last.guests] == [None, 300 * MIB]
        assert [60 < row.left < 70 for row in house.last.reservations] == [True]

    def test_a_restarted_host_forgets_leases_and_keeps_what_was_said_of_guests(self) -> None:
        orders = Orders(pins={"a": 1}, holds={"b": ""})
        orders.reservations.make("c", 1, 10, 0)
        again = Orders.from_dict(orders.to_dict(), None)
        assert (again.pins, again.holds, len(again.reservations)) == ({"a": 1}, {"b": ""}, 0)
        assert len(Orders.from_dict(orders.to_dict(), 5.0).reservations) == 1
        assert len(Orders.from_dict(orders.to_dict(), 15.0).reservations) == 0

    def test_a_file_of_an_older_manager_has_pins_only(self) -> None:
        assert Orders.from_dict({"pins": {"a": 5}}, 0.0).pins == {"a": 5}
        for saved in ({"pins": {"\ud800": 5}}, {"pins": {}, "holds": {"a": "\ud800"}}):
            with pytest.raises(UsageError, match="are none"):  # it could not be saved again
                Orders.from_dict(saved, 0.0)
