"""The engine's rival decides as the rule that it stands for, in figures worked out by hand."""

import pytest
from bench.threshold_rule import RuledGuest, decide

from aerostat.units import GIB


def decision(free_share: float, size: float, free_memory: float) -> float | None:
    guest = RuledGuest(8 * GIB, 0.5 * GIB)
    guest.sample(size * GIB, free_memory * GIB)
    (target,) = decide(free_share, [guest])
    return target and target / GIB


@pytest.mark.parametrize(
    ("free_share", "size", "free_memory", "target"),
    [
        (0.15, 8.0, 2.0, 7.6),  # pressed: a twentieth less
        (0.15, 8.0, 1.0, None),  # pressed, but the guest uses nearly all
        (0.04, 8.0, 0.2, 7.72),  # desperate: less than it uses
        (0.30, 4.0, 0.2, 4.6),  # at ease: what it uses and a fifth
        (0.30, 4.0, 2.0, 4.2),  # at ease: a twentieth more
        (0.30, 8.0, 2.0, None),  # it has all
    ],
)
def test_the_rule(free_share: float, size: float, free_memory: float, target: float | None) -> None:
    assert decision(free_share, size, free_memory) == (target and pytest.approx(target))


def test_it_goes_by_the_average_of_ten_samples() -> None:
    guest = RuledGuest(8 * GIB, 0.5 * GIB)
    for free_memory in (*[4.0] * 5, *[0.5] * 5, *[0.1] * 5):
        guest.sample(4 * GIB, free_memory * GIB)
    # On average 0.3 are free, so it uses 3.7, and is to keep a fifth of its 4.
    assert decide(0.30, [guest]) == [pytest.approx(4.5 * GIB)]
