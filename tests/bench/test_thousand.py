"""How lateness is reckoned in the bench of a thousand guests."""

import pytest
from bench.bench_thousand import lateness, percentile


def test_a_look_is_late_by_what_it_came_after_one_interval() -> None:
    late, missed = lateness([[0.0, 1.0, 2.25, 3.0]], 1.0, 3.0)
    assert late == pytest.approx([0.0, 0.0, 0.25])
    assert missed == 0


def test_extra_looks_make_nothing_look_better() -> None:
    late, missed = lateness([[0.0, 0.25, 0.5, 1.0, 2.5]], 1.0, 2.0)
    assert late == pytest.approx([0.0, 0.5])
    assert missed == 1


def test_who_is_never_looked_at_is_missed_each_time() -> None:
    late, missed = lateness([[], [0.0, 1.0, 4.0]], 1.0, 4.0)
    assert late == pytest.approx([0.0, 2.0])
    assert missed == 4 + 2


def test_percentile() -> None:
    values = [float(value) for value in range(100)]
    assert percentile(values, 0.99) == 99.0
    assert percentile(values, 0.5) == 50.0
    assert percentile([7.0], 1.0) == 7.0
