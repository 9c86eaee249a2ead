"""Text, CSV and JSON from rows."""

import csv
import json

import pytest

from aerostat.cli.errors import NotThereError
from aerostat.cli.list import SORTS as CHOICES
from aerostat.cli.report import csv_text, house_lines, list_table, rfc3339, to_json
from aerostat.cli.rows import find_guest
from aerostat.daemon.snapshot import (
    ConnectorRow,
    GuestRow,
    HostRow,
    ReservationRow,
    Snapshot,
)
from aerostat.errors import UsageError
from aerostat.tui.states import SORTS, sort
from aerostat.units import GIB, MIB


def row(name: str, key: str = "", **changes: object) -> GuestRow:
    return GuestRow(key or f"qmp:/{name}", name, "qmp", **changes)  # type: ignore[arg-type]


def house(*rows: GuestRow) -> Snapshot:
    return Snapshot(0.0, 0.0, guests=rows)


def test_a_guest_is_found_by_key_before_uuid_before_name() -> None:
    rows = [row("a", "k1", uuid="u1"), row("k1", "k2"), row("u1", "k3")]
    assert find_guest(house(*rows), "k1") is rows[0]
    assert find_guest(house(*rows), "u1") is rows[0]
    assert find_guest(house(*rows), "a") is rows[0]


def test_a_guest_that_is_not_found_or_not_one() -> None:
    rows = [row(f"g{number}") for number in range(12)]
    with pytest.raises(NotThereError, match=r"there are: g0, .*g9, and 2 more"):
        find_guest(house(*rows), "x")
    with pytest.raises(NotThereError, match="there are none"):
        find_guest(house(), "x")
    with pytest.raises(UsageError, match="name one of: k1, k2"):
        find_guest(house(row("a", "k1"), row("a", "k2")), "a")


def test_columns_line_up_whatever_the_names() -> None:
    rows = [row("漢字", max_size=512 * MIB, pressure=0.5), row("a\x1b[2J"), row("x" * 200)]
    lines = list_table(rows).splitlines()
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)
    place = lines[0].index("MAX") + 3
    assert lines[1].replace("漢字", "漢字  ")[:place].endswith("512 MiB")
    assert "unreachable" in lines[2]


def test_an_error_is_shown_beside_the_condition() -> None:
    assert list_table([row("a", error="timed out")]).endswith("unreachable: timed out")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"condition": "fresh", "condition_since": 300.0}, "fresh"),
        ({"condition": "stuck", "condition_since": 45.0}, "stuck 45s"),
        ({"condition": "silent", "condition_since": 720.0}, "silent 12m"),
        ({"condition": "exempt", "condition_since": 8.0, "held_by_operator": True}, "on hold 8.0s"),
        ({"condition": "stuck", "condition_since": 1.0, "held_by_operator": True}, "1.0s, on hold"),
        (
            {"condition": "fresh", "pinned": 2 * GIB, "way": "agent"},
            "fresh, set to 2.0 GiB, by its agent",
        ),
    ],
)
def test_the_state_is_told_with_how_long_and_by_whose_order(
    changes: dict[str, object], shown: str
) -> None:
    assert list_table([row("a", "k", **changes)]).endswith(shown)


def test_beside_the_guests_stand_hosts_reservations_and_problems() -> None:
    host = HostRow("h", budget=8 * GIB, pressure=0.04, reserved=3 * GIB, reserved_backed=GIB)
    snapshot = Snapshot(
        0.0,
        0.0,
        hosts=(host,),
        reservations=(ReservationRow("db2", 3 * GIB, 250.0, backed=False),),
        connectors=(ConnectorRow("libvirt", problem="no\x1b answer"), ConnectorRow("qmp", 3)),
        problems=("the disk is full",),
    )
    assert list(house_lines(snapshot)) == [
        "h: budget 8.0 GiB, reserved 3.0 GiB (1.0 GiB of it there), pressure 4%",
        "reserved for db2 3.0 GiB, not there yet, 4m left",
        "! libvirt: no? answer",
        "! the disk is full",
    ]


def test_json_has_a_schema() -> None:
    answer = json.loads(to_json(guests=(row("a", pressure=0.5),)))
    assert (answer["schema"], answer["guests"][0]["pressure"]) == (1, 0.5)


def test_csv_can_be_read_whatever_a_guest_is_called() -> None:
    rows = [row('a,"b"\nc', max_size=512, statistics={"swap_in": 7, "tag-99": 1}), row("d")]
    first, second = csv.DictReader(csv_text(rows, 1.25).splitlines(keepends=True))
    assert (first["name"], first["max_size"], first["swap_in"]) == ('a,"b"\nc', "512", "7")
    assert first["time"] == "1970-01-01T00:00:01.250Z" == rfc3339(1.25)
    assert (second["name"], second["max_size"]) == ("d", "")
    assert not csv_text([row("d")], 0.0, titles=False).startswith("time")


def test_the_orders_that_can_be_chosen_are_those_there_are() -> None:
    assert set(CHOICES) == set(SORTS)


def test_figures_go_from_the_largest_down_and_what_is_unknown_comes_last() -> None:
    rows = [row("a", pressure=0.1), row("b"), row("c", pressure=0.9), row("d", pressure=0.0)]
    assert [guest.name for guest in sort(rows, "pressure")] == ["c", "a", "d", "b"]
    assert [guest.name for guest in sort(rows[::-1], "name")] == ["a", "b", "c", "d"]
    rows = [row("a", condition="fresh"), row("b", condition="stuck")]
    assert [guest.name for guest in sort(rows, "condition")] == ["b", "a"]
