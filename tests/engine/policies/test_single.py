"""The rules that look at each guest by itself: Senpai's, virtui's, vm0's; and fixed sizes."""

from collections.abc import Callable

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.senpai import FAULT, Senpai
from aerostat.engine.policies.static import Static
from aerostat.engine.policies.virtui import Virtui
from aerostat.engine.policies.vm0 import Vm0
from aerostat.units import GIB, MIB

Shown = Callable[..., tuple[Hosts, Guests]]

FREE, AVAILABLE, TOTAL = Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY, Tag.TOTAL_MEMORY
FAULTS = Tag.MAJOR_FAULTS


class TestSenpai:
    POLICY = Senpai()

    def sizes(self, shown: Shown, waited: list[float]) -> list[float]:
        """Return what is asked when a guest waits so many ms each second; it has 4 of 8 GiB."""
        memory, sizes, faults = self.POLICY.start(), [], 0.0
        for now, more in enumerate([0.0, *waited]):
            faults += more * 1e-3 / FAULT
            told = {FREE: 1.0, FAULTS: faults}
            seen = shown([4], told=told, sampled=1.0 + now)
            memory, decided = self.POLICY.step(memory, 1.0 + now, *seen)
            sizes.append(float(decided.target_size[0]) / GIB)
        return sizes

    def test_it_begins_with_what_the_guest_has(self, shown: Shown) -> None:
        assert self.sizes(shown, []) == [4.0]

    def test_a_quiet_guest_loses_a_hundredth_in_six_seconds(self, shown: Shown) -> None:
        nothing = [np.nan] * 5
        expected = [4.0, *nothing, 4 * 0.99, *nothing, 4 * 0.99**2]

        assert self.sizes(shown, [0] * 12) == pytest.approx(expected, abs=1e-4, nan_ok=True)

    def test_one_that_waits_a_little_loses_less(self, shown: Shown) -> None:
        # Half of the pressure that is aimed at: (2 / 10)^2 of a hundredth.
        assert self.sizes(shown, [5, 0, 0, 0, 0, 0])[-1] == pytest.approx(4 * 0.9996, abs=1e-5)

    def test_one_that_waits_gets_more_at_once(self, shown: Shown) -> None:
        assert self.sizes(shown, [40])[-1] == pytest.approx(4 * (1 + (4 / 20) ** 2), abs=1e-4)

    def test_it_never_more_than_doubles(self, shown: Shown) -> None:
        assert self.sizes(shown, [800])[-1] == 8.0

    def test_an_old_sample_says_nothing(self, shown: Shown) -> None:
        memory = self.POLICY.start()
        seen = shown([8], told={FREE: 4.0, FAULTS: 0}, sampled=1.0)
        for now in range(20):
            memory, decided = self.POLICY.step(memory, 1.0 + now, *seen)

        assert np.isnan(decided.target_size).all()


class TestVirtui:
    POLICY = Virtui()

    def sizes(self, shown: Shown, free: list[float], every: float = 2.0) -> list[float]:
        """Return what is asked of a guest of 4 GiB, of which so much is available."""
        seen = shown([4], told={AVAILABLE: 2, TOTAL: 4}, sampled=0.0)
        memory, _ = self.POLICY.step(self.POLICY.start(), 0.0, *seen)
        sizes = []
        for step, available in enumerate(free):
            now = 20.0 + every * step
            seen = shown([4], told={AVAILABLE: available, TOTAL: 4}, sampled=now)
            memory, decided = self.POLICY.step(memory, now, *seen)
            sizes.append(float(decided.target_size[0]) / GIB)
        return sizes

    def test_from_65_percent_on_a_guest_gets_nearly_a_third_more(self, shown: Shown) -> None:
        assert self.sizes(shown, [1.39, 1.41]) == pytest.approx([5.2, np.nan], 1e-4, nan_ok=True)

    def test_up_to_55_percent_it_loses_a_tenth_every_ten_seconds(self, shown: Shown) -> None:
        nothing = [np.nan] * 4

        expected = [3.6, *nothing, 3.6]
        assert self.sizes(shown, [2.0] * 6) == pytest.approx(expected, 1e-4, nan_ok=True)

    def test_it_is_left_alone_at_first(self, shown: Shown) -> None:
        seen = shown([4], told={AVAILABLE: 0.1, TOTAL: 4})
        _, decided = self.POLICY.step(self.POLICY.start(), 0.0, *seen)

        assert np.isnan(decided.target_size).all()

    def test_so_it_is_without_news(self, shown: Shown) -> None:
        seen = shown([4], told={AVAILABLE: 0.1, TOTAL: 4}, sampled=0.0)
        memory, _ = self.POLICY.step(self.POLICY.start(), 0.0, *seen)
        seen = shown([4], told={AVAILABLE: 0.1, TOTAL: 4}, sampled=7.0)

        assert np.isnan(self.POLICY.step(memory, 20.0, *seen)[1].target_size).all()


@pytest.mark.parametrize(
    ("free", "available", "target"),
    [
        (2000, 3000, 4096 - 256),  # no more than a stride
        (400, 800, 4096 - 144),  # down to 256 MiB free
        (384, 800, np.nan),
        (100, 191, 8192),  # in need it gets everything
        (190, np.nan, 8192),  # what is free, where it tells nothing else
    ],
)
def test_vm0(shown: Shown, free: float, available: float, target: float) -> None:
    seen = shown([4], told={FREE: free / 1024, AVAILABLE: available / 1024})
    _, decided = Vm0().step(None, 0.0, *seen)

    assert decided.target_size[0] / MIB == pytest.approx(target, abs=0.01, nan_ok=True)


@pytest.mark.parametrize(
    ("overcommit", "sizes"), [(1.0, [2, 4, 6]), (1.5, [3, 6, 9]), (np.inf, [4, 8, 12])]
)
def test_static_sizes(shown: Shown, overcommit: float, sizes: list[float]) -> None:
    seen = shown([4, 8, 12], budget=12, max_size=[4, 8, 12], shares=[0.004, 0.008, 0.012])
    policy = Static(overcommit=overcommit)
    _, decided = policy.step(None, 0.0, *seen)

    assert decided.target_size / GIB == pytest.approx(sizes, abs=1e-5)
    assert policy.boots_at(*seen).tolist() == decided.target_size.tolist()
