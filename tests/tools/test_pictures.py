"""The picture of the house is true, up to date, and can be read."""

import itertools
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from tools import pictures  # noqa: E402 - needs the path above


@pytest.fixture(scope="module")
def arrows() -> set[pictures.Arrow]:
    return pictures.imports_between(pictures.SOURCE)


def test_the_picture_of_the_rooms_is_up_to_date(arrows: set[pictures.Arrow]) -> None:
    drawn = (pictures.PICTURES / "rooms.svg").read_text()

    assert drawn == pictures.draw_rooms(arrows), "run: make pictures ARGS=rooms"


def test_every_wing_has_its_place() -> None:
    wings = {path.parent.name for path in pictures.SOURCE.glob("*/__init__.py")}

    assert wings == {name for ring in pictures.RINGS for name in ring.rooms}


def test_no_two_rooms_share_a_place() -> None:
    places = pictures.boxes()

    assert len(set(places.values())) == len(places)
    assert all(box.x + pictures.BOX_WIDTH <= pictures.WIDTH for box in places.values())


def test_arrows_that_were_left_out_follow_from_those_that_are_drawn(
    arrows: set[pictures.Arrow],
) -> None:
    drawn = pictures.essential(arrows)

    assert drawn < arrows
    assert pictures.reachable(drawn) == pictures.reachable(arrows)
    for one in drawn:
        assert pictures.reachable(drawn - {one}) != pictures.reachable(arrows)


def test_a_circle_of_imports_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="circle: a → b → a"):
        pictures.reachable([("a", "b"), ("b", "a")])


def test_no_arrow_points_upwards_or_runs_through_a_room(arrows: set[pictures.Arrow]) -> None:
    places = pictures.boxes()
    curves = pictures.curves(pictures.essential(arrows), places)

    for (a, b), curve in curves.items():
        assert places[a].y <= places[b].y
        assert pictures.crossed(curve, places) == set(), f"{a} → {b}"


def test_no_two_arrows_share_an_end(arrows: set[pictures.Arrow]) -> None:
    curves = pictures.curves(pictures.essential(arrows), pictures.boxes()).values()
    ends = [point for curve in curves for point in (curve[0], curve[-1])]

    for (x1, y1), (x2, y2) in itertools.combinations(ends, 2):
        assert abs(x1 - x2) + abs(y1 - y2) > 8


@pytest.mark.parametrize("name", ["rooms", "demo"])
def test_a_picture_is_whole_and_fetches_nothing(name: str) -> None:
    text = (pictures.PICTURES / f"{name}.svg").read_text()
    root = ET.fromstring(text)

    assert root.tag.endswith("svg")
    assert "@import" not in text
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"')
