"""The clairvoyant."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from aerostat.engine.observation import FloatArray, Guests, Hosts
from aerostat.engine.policies.oracle import PATIENCE, Oracle
from aerostat.errors import UsageError
from aerostat.units import GIB

Shown = Callable[..., tuple[Hosts, Guests]]


@dataclass(frozen=True)
class Known:
    """Guests need so much that nothing is lost, so much to work at all, and so much to live."""

    comfort: tuple[float, ...]
    enough: tuple[float, ...]
    least: tuple[float, ...]

    def need(
        self, keys: tuple[str, ...], now: float, until: float, slack: float = 0.0
    ) -> FloatArray:
        level = self.least if slack >= 1 else self.enough if slack >= 0.3 else self.comfort
        return np.array(level) * GIB

    def whole(self, keys: tuple[str, ...], now: float, until: float) -> FloatArray:
        return self.need(keys, now, until)


def sizes(shown: Shown, known: Known, budget: float, steps: int = 1) -> list[list[float]]:
    """Return what is asked in each of some steps, GiB."""
    policy = Oracle().foretold(known)
    memory, asked = policy.start(), []
    for now in range(steps):
        seen = shown([4.0] * len(known.least), budget=budget)
        memory, decided = policy.step(memory, float(now), *seen)
        asked.append((decided.target_size / GIB).round(3).tolist())
    return asked


def test_it_knows_nothing_outside_of_simulations() -> None:
    with pytest.raises(UsageError, match="simulations"):
        Oracle().start()


def test_what_all_need_is_given_and_the_rest_divided(shown: Shown) -> None:
    known = Known((3, 1), (2, 1), (1, 1))

    assert sizes(shown, known, budget=10) == [pytest.approx([3 + 5 * 6 / 12, 1 + 7 * 6 / 12])]


def test_comfort_shrinks_first(shown: Shown) -> None:
    known = Known((4, 2), (2, 1), (1, 1))

    assert sizes(shown, known, budget=4.5) == [pytest.approx([3.0, 1.5])]


def test_then_the_guest_that_needs_most_is_hurt_and_lives(shown: Shown) -> None:
    known = Known((4, 3, 2), (4, 3, 2), (1, 1, 1))

    assert sizes(shown, known, budget=7) == [pytest.approx([2, 3, 2])]


def test_and_then_it_is_another_s_turn(shown: Shown) -> None:
    known = Known((3, 3, 3), (3, 3, 3), (1, 1, 1))
    asked = sizes(shown, known, budget=7, steps=3 * int(PATIENCE) + 3)
    hurt = [step.index(min(step)) for step in asked]

    assert all(sorted(step) == [1, 3, 3] for step in asked)
    # Each once, and none twice.
    assert set(hurt) == {0, 1, 2}
    assert sum(one != other for one, other in pairwise(hurt)) <= 3


def test_where_life_does_not_fit_some_live(shown: Shown) -> None:
    known = Known((3, 2, 2), (3, 2, 2), (3, 2, 2))

    assert sizes(shown, known, budget=4.5) == [pytest.approx([0.5, 2, 2])]
