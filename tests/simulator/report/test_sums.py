"""What rows come to."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.simulator import density
from aerostat.simulator.report import sums
from aerostat.simulator.report.rows import Part, Row, Study
from aerostat.simulator.report.sums import front

MakeRow = Callable[..., Row]
points = st.lists(st.tuples(st.integers(1, 40).map(float), st.floats(0, 1)), max_size=12)


@given(points)
def test_a_front_has_whom_nobody_surpasses(tried: list[tuple[float, float]]) -> None:
    kept = front(tried)

    assert kept == sorted(kept)
    for guests, harm in tried:
        assert any(more >= guests and less <= harm for more, less in kept)
    for guests, harm in kept:
        assert not any(
            more >= guests and less <= harm and (more, less) != (guests, harm)
            for more, less in tried
        )


def test_the_best_rival_is_neither_ours_nor_the_bound(study: Study) -> None:
    best = sums.best_rival(study.rows)

    assert best is not None
    assert (best.policy, best.guests) == ("mom", 12)


def test_there_may_be_no_rival(row: MakeRow) -> None:
    assert sums.best_rival([row("aerostat"), row("aerostat:mode=1"), row("oracle")]) is None


def test_a_table_is_of_whole_samples_densest_first(study: Study) -> None:
    lines = sums.lines(study.rows, "build", "16")

    assert [line.policy for line in lines] == ["oracle", "aerostat", "mom", "static"]
    assert [line.ratio for line in lines] == [2.5, 2.0, 1.2, 1.0]
    assert all(line.equal is not None and line.equal.loss == 0 for line in lines)


def test_means_are_geometric_and_say_how_far_the_bound_is(row: MakeRow) -> None:
    holds = {"a": {"aerostat": 20, "oracle": 40, "static": 10}}
    holds["b"] = {"aerostat": 80, "oracle": 90, "static": 10}
    rows = [row(policy, n, family=f) for f, each in holds.items() for policy, n in each.items()]
    found = {mean.policy: mean for mean in sums.means(rows, "16")}

    assert found["aerostat"].ratio == pytest.approx(4)
    assert found["oracle"].ratio == pytest.approx(6)
    assert found["static"].gap == 0
    assert found["oracle"].gap == pytest.approx(1)
    assert found["aerostat"].gap == pytest.approx(0.7737, abs=1e-4)


def test_who_was_not_run_on_all_families_has_no_mean(row: MakeRow) -> None:
    rows = [row("mom", family="a"), row("static", family="a"), row("static", family="b")]

    assert [mean.policy for mean in sums.means(rows, "16")] == ["static"]


def test_who_harms_even_one_guest_holds_none(row: MakeRow) -> None:
    rows = [row("static", 8), row("mom", 1, Part.SEARCH), row("mom", 8, Part.EQUAL)]
    (static, mom) = sums.lines(rows, "build", "16")

    assert (static.guests, mom.guests, mom.ratio, mom.density) == (8, 0, 0.0, None)
    assert [mean.ratio for mean in sums.means(rows, "16")] == [1.0, 0.0]


def test_nobody_can_be_dense_where_fixed_sizes_hold_none(row: MakeRow) -> None:
    rows = [row("mom", 5), row("static", 1, Part.EQUAL)]

    assert [line.ratio for line in sums.lines(rows, "build", "16")] == [None, None]
    assert [mean.ratio for mean in sums.means(rows, "16")] == [None, None]


def test_the_verdict_names_the_best_rival_and_the_way_to_the_bound(study: Study) -> None:
    words = sums.verdict(sums.means(study.rows, "16"))

    assert "1.67 guests for each of the best rival's, mom" in words
    assert "70 % of the way from there to the oracle" in words
    assert "harm 0.1 %, mom's 0.17 %" in words


def test_without_a_rival_there_is_no_verdict(row: MakeRow) -> None:
    assert sums.verdict(sums.means([row("aerostat")], "16")) == ""


def test_the_limit_is_that_of_the_search() -> None:
    assert sums.LIMIT == density.LIMIT
