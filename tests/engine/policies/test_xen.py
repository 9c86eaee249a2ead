"""The rules of squeezed and of Qubes, whose guests hold all that they are permitted."""

from collections.abc import Callable

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.qubes import Qubes
from aerostat.engine.policies.squeezed import Squeezed
from aerostat.units import GIB, MIB

Shown = Callable[..., tuple[Hosts, Guests]]

FREE = Tag.FREE_MEMORY
CACHES = Tag.DISK_CACHES


class TestSqueezed:
    POLICY = Squeezed(minimum=0, host_free=0)

    def test_all_go_the_same_way_from_minimum_to_maximum(self, shown: Shown) -> None:
        # 10 GiB for minima of 2 and maxima of 12: 6 of the 10 between, for each.
        _, decided = self.POLICY.step(
            self.POLICY.start(), 0.0, *shown([4, 8], budget=8, max_size=[4, 8], guarantee=1.0)
        )

        assert decided.target_size / GIB == pytest.approx([2.8, 5.2], abs=1e-4)

    def test_first_guests_give_then_others_get(self, shown: Shown) -> None:
        sizes = shown([8, 2], budget=10, guarantee=1.0)
        memory, decided = self.POLICY.step(self.POLICY.start(), 0.0, *sizes)
        assert decided.target_size / GIB == pytest.approx([5, np.nan], abs=1e-4, nan_ok=True)
        assert "until the others have given" in decided.sentence(1)

        given = shown([5, 2], budget=10, guarantee=1.0)
        _, decided = self.POLICY.step(memory, 5.0, *given)
        assert decided.target_size / GIB == pytest.approx([5, 5], abs=1e-4)

    def test_a_guest_that_does_not_move_is_left_out(self, shown: Shown) -> None:
        stuck = shown([8, 1], budget=10, guarantee=1.0)
        memory, _ = self.POLICY.step(self.POLICY.start(), 0.0, *stuck)
        _, decided = self.POLICY.step(memory, 5.0, *stuck)

        # It was asked for 5 and stays at 8; the other one gets what that leaves.
        assert decided.target_size / GIB == pytest.approx([5, 2], abs=1e-4)
        assert "does not move" in decided.sentence(0)


class TestQubes:
    POLICY = Qubes()

    def sizes(self, *seen: object) -> list[float]:
        _, decided = self.POLICY.step(None, 0.0, *seen)  # type: ignore[arg-type]
        return [float(size) / GIB for size in decided.target_size]

    def test_what_is_spare_is_divided_in_proportion(self, shown: Shown) -> None:
        # They use 1 and 2 GiB and wish for 1.3 and 2.6; all but 50 MiB is given out.
        seen = shown([4, 4], budget=12, told={FREE: [1, 1], CACHES: [2, 1]})
        factor = 0.999 * (12 - 50 / 1024) / 3.9

        # The second is to have 2.6 times that, but gets no more than is free now.
        expected = [1.3 * factor, 8 - 50 / 1024]
        assert self.sizes(*seen) == pytest.approx(expected, abs=1e-3)

    def test_who_has_too_much_gives_to_those_with_too_little(self, shown: Shown) -> None:
        # The wishes are 1.3 and 7.8 GiB, and there are 8: the first gives 0.7, and the second gets
        # that next time, for nothing is free now.
        seen = shown([2, 6], budget=8 + 50 / 1024, told={FREE: [1, 0], CACHES: 0})

        assert self.sizes(*seen) == pytest.approx([1.3, 6], abs=1e-3)

    def test_what_is_free_goes_to_those_with_too_little_at_once(self, shown: Shown) -> None:
        seen = shown([1.3, 5], budget=7.3 + 50 / 1024, told={FREE: [0.3, 0], CACHES: 0})

        assert self.sizes(*seen) == pytest.approx([1.3, 6], abs=1e-3)

    def test_small_transfers_are_not_worth_it(self, shown: Shown) -> None:
        budget = 2.6 / 0.999 + 50 / 1024 + 0.05
        seen = shown([1.3, 1.3], budget=budget, told={FREE: 0.3, CACHES: 0})

        assert np.isnan(self.sizes(*seen)).all()

    def test_a_guest_that_tells_nothing_takes_no_part(self, shown: Shown) -> None:
        seen = shown([4, 4], budget=12, told={FREE: [np.nan, 3]})

        assert np.isnan(self.sizes(*seen)).tolist() == [True, False]

    def test_no_wish_is_below_the_least(self, shown: Shown) -> None:
        seen = shown([1, 1], budget=50 / 1024, told={FREE: 0.99, CACHES: 0})

        assert self.sizes(*seen) == pytest.approx([200 * MIB / GIB] * 2, abs=1e-3)
