"""What a tick shows: made when somebody looks, of how it was then."""

from aerostat.daemon.snapshot import GuestRow, Rows, Snapshot
from aerostat.testing.mocks.house import House
from aerostat.units import MIB


def test_rows_are_made_once_and_only_for_who_looks() -> None:
    made = []

    def make() -> tuple[GuestRow, ...]:
        made.append(True)
        return GuestRow("a", "a", ""), GuestRow("b", "b", "")

    rows = Rows(2, make)
    assert len(rows) == 2
    assert not made
    assert rows[1].key == "b"
    assert [row.key for row in rows] == ["a", "b"]
    assert rows[:1] == (GuestRow("a", "a", ""),)
    assert rows == make()
    assert len(made) == 2


def test_a_snapshot_with_such_rows_is_the_one_that_is_read_back() -> None:
    snapshot = Snapshot(1.0, 2.0, guests=Rows(1, lambda: (GuestRow("a", "a", ""),)))
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert snapshot.find("a") == (GuestRow("a", "a", ""),)


async def test_whoever_looks_later_sees_how_it_was(house: House) -> None:
    guest = house.add("a")
    guest.uses(300 * MIB)
    manager = await house.start()
    await house.clock.advance(3)
    before = house.last
    size = guest.guest_size
    guest.guest_size = 400 * MIB
    guest.uses(350 * MIB)
    manager.set_target("fake:a", 410 * MIB)
    manager.hold("fake:a")
    await house.clock.advance(3)
    (row,) = before.guests
    assert (row.guest_size, row.pinned, row.held_by_operator) == (size, None, False)
    assert row.sample_age is not None
    assert row.sample_age <= 2
    (now,) = house.last.guests
    assert (now.guest_size, now.held_by_operator) == (400 * MIB, True)
