"""Pictures are sound SVG, show what is there, and keep to their panels."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from aerostat.engine.policies.catalogue import POLICIES
from aerostat.simulator.report import drawing, houses, palette, pictures, scales, sums
from aerostat.simulator.report.drawing import Panel
from aerostat.simulator.report.figures import figures
from aerostat.simulator.report.rows import Part, Recorded, Row, Study

MakeRow = Callable[..., Row]


def numbers_in(panel: Panel, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf'\b{name}="(-?[\d.]+)"', panel.body)]


def kinds_in(figure: str) -> set[str]:
    drawn = ET.fromstring(figure)
    return {kind for each in drawn.iter() for kind in each.get("class", "").split()}


def test_a_study_has_all_its_figures(study: Study) -> None:
    assert [figure.name for figure in figures(study)] == [
        "density", "harm", "fronts", "samples-lost", "house-build",
    ]  # fmt: skip


def test_figures_of_several_dialects_have_files_of_their_own(study: Study) -> None:
    rows = [*study.rows, *(replace(row, dialect="6") for row in study.rows)]
    names = [figure.name for figure in figures(replace(study, rows=tuple(rows)))]

    assert {"density-16", "density-6", "fronts-6", "house-build"} <= set(names)
    assert len(set(names)) == len(names)


def test_every_file_stands_by_itself(study: Study) -> None:
    for figure in figures(study):
        styles = re.findall(r"<style>(.*?)</style>", figure.svg(), re.DOTALL)
        styled = set(re.findall(r"\.([a-z][\w-]*)", styles[0]))

        assert "prefers-color-scheme: dark" in styles[0]
        assert kinds_in(figure.svg()) <= styled | {"edge", "faint"}
        assert "href" not in figure.svg()


def test_words_stay_within_their_panels(study: Study) -> None:
    for figure in figures(study):
        for panel in figure.panels:
            for x, y, words in re.findall(r'x="([\d.-]+)" y="([\d.-]+)"[^>]*>([^<]*)<', panel.body):
                assert 0 <= float(x) <= panel.width, words
                assert 0 <= float(y) <= panel.height, words


def test_names_are_no_markup(row: MakeRow) -> None:
    panel = pictures.density_bars("<b>", sums.lines([row("x<y>:a=1")], "build", "16"))
    drawn = ET.fromstring(panel.svg())

    assert "x<y>:a=1" in {each.text for each in drawn.iter()}


def test_longer_bars_have_more_guests(row: MakeRow) -> None:
    rows = [row("mom", 10), row("aerostat", 20)]
    panel = pictures.density_bars("build", sums.lines(rows, "build", "16"))
    ours, theirs = (float(w) for w in re.findall(r'width="([\d.]+)" height="13', panel.body))

    assert ours == pytest.approx(2 * theirs, rel=0.01)


def test_what_was_killed_is_hollow(row: MakeRow) -> None:
    rows = [row(guests=5), row(guests=9, part=Part.SEARCH, oom_kills=2.0)]
    panel = pictures.fronts("build", rows)

    assert panel.body.count("hollow") == 1
    assert "mom: 9 guests, 1.8 %, 2 killed" in panel.body


def test_degradation_needs_two_points(row: MakeRow) -> None:
    one = [row(part=Part.GIVEN)]
    two = [*one, row(part=Part.GIVEN, delay=20.0, mean_slowdown=0.1)]

    assert pictures.degradation("build", one, "delay") is None
    assert pictures.degradation("build", two, "loss") is None
    panel = pictures.degradation("build", two, "delay")
    assert panel is not None
    assert "age of a sample" in panel.body


def test_a_house_has_a_layer_a_guest(house: Callable[[str], Recorded]) -> None:
    shown = house("mom")
    panel = houses.stacked(shown, houses.highest_held([shown]), houses.highest_harm([shown]))

    assert [f"<title>guest {n}</title>" in panel.body for n in (1, 2, 3, 4)] == [
        True, True, True, False,
    ]  # fmt: skip


def test_scales_suit_all_houses_that_are_side_by_side(house: Callable[[str], Recorded]) -> None:
    small = house("mom")
    large = replace(small, size=small.size * 9, slowdown=small.slowdown * 30)

    assert houses.highest([small, large]) == pytest.approx(
        np.nansum(large.size[-1] + large.balloon[-1])
    )
    assert houses.highest_harm([small]) == 0.05
    assert houses.highest_harm([small, large]) == pytest.approx(0.3)


def test_every_policy_of_the_house_has_its_own_look() -> None:
    looks = [palette.look(name) for name in POLICIES]

    assert len({look.light for look in looks}) == len(looks)
    assert len({look.dark for look in looks}) == len(looks)
    assert [look.key for look in looks if look.strong] == [palette.OURS]
    assert palette.look("mom:host_free=0.3") == palette.look("mom")


def test_others_policies_are_drawn_too() -> None:
    key = palette.look("mine").key

    assert f".f-{key}" in drawing.style(["mine"])
    assert palette.rank("mine") > palette.rank("vm0")


def test_stairs_go_up_before_they_go_on() -> None:
    scale = scales.numbers(10)
    frame = drawing.Frame(0, 0, 100, 100, scale, scale)

    assert frame.stairs([(0, 0), (5, 5), (10, 10)]) == "M0.0 100.0V50.0H50.0V0.0H100.0"
