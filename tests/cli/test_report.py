"""Text and JSON from rows."""

import json

import pytest

from aerostat.cli.errors import NotThereError
from aerostat.cli.report import find_guest, list_table, stats_lines, to_json
from aerostat.daemon.snapshot import GuestRow
from aerostat.errors import UsageError
from aerostat.units import MIB


def row(name: str, key: str = "", **changes: object) -> GuestRow:
    return GuestRow(key or f"qmp:/{name}", name, "qmp", **changes)  # type: ignore[arg-type]


def test_a_guest_is_found_by_key_before_name() -> None:
    rows = [row("a", "k1"), row("k1", "k2")]
    assert find_guest(rows, "k1") is rows[0]
    assert find_guest(rows, "a") is rows[0]


def test_a_guest_that_is_not_found_or_not_one() -> None:
    rows = [row(f"g{number}") for number in range(12)]
    with pytest.raises(NotThereError, match=r"there are: g0, .*g9, and 2 more"):
        find_guest(rows, "x")
    with pytest.raises(NotThereError, match="there are none"):
        find_guest([], "x")
    with pytest.raises(UsageError, match="name one of: k1, k2"):
        find_guest([row("a", "k1"), row("a", "k2")], "a")


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


def test_all_statistics_have_a_line_and_unknown_ones_come_after() -> None:
    lines = stats_lines(row("a", statistics={"tag-99": 5, "swap_in": 1}), human=False).splitlines()
    names = [line.split()[0] for line in lines]
    assert len(names) == len(set(names)) == 4 + 16 + 1 + 3
    assert "tag-99 5" in lines
    assert "swap_in 1" in lines


def test_json_has_a_schema() -> None:
    answer = json.loads(to_json(guests=(row("a", pressure=0.5),)))
    assert (answer["schema"], answer["guests"][0]["pressure"]) == (1, 0.5)
