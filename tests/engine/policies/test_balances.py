"""The rules of ChromeOS, Hyper-V and ESXi, which balance guests with their host."""

from collections.abc import Callable

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.chromeos import ChromeOs
from aerostat.engine.policies.esxi import Esxi
from aerostat.engine.policies.hyperv import HyperV, kept
from aerostat.units import GIB, MIB

Shown = Callable[..., tuple[Hosts, Guests]]

FREE, AVAILABLE, CACHES = Tag.FREE_MEMORY, Tag.AVAILABLE_MEMORY, Tag.DISK_CACHES


class TestChromeOs:
    POLICY = ChromeOs(critical=0.5 * GIB, margin=0.0)

    def delta(self, seen: tuple[Hosts, Guests]) -> list[float]:
        _, decided = self.POLICY.step(self.POLICY.start(), 0.0, *seen)
        return [float(x) for x in (seen[1].guest_size - decided.target_size) / GIB]

    def test_a_guest_and_its_host_meet_halfway(self, shown: Shown) -> None:
        seen = shown([4], host_free=0.5, told={FREE: 1.0, CACHES: 1.5})

        assert self.delta(seen) == pytest.approx([(2.0 - 0.5) / 2], abs=1e-4)

    def test_the_other_way_as_far_as_the_host_has_it(self, shown: Shown) -> None:
        seen = shown([4], host_free=1.0, told={FREE: 0.0, CACHES: 0.1})

        assert self.delta(seen) == pytest.approx([-(1.4 / 2)], abs=1e-4)

    def test_a_host_without_memory_takes_what_it_lacks(self, shown: Shown) -> None:
        policy = ChromeOs(critical=0.5 * GIB, margin=0.05)
        seen = shown([4], host_free=0.0, told={FREE: 0.7})
        _, decided = policy.step(policy.start(), 0.0, *seen)

        # It is 0.8 GiB below its margin, and the guest has 0.2 above what it needs.
        assert (4 * GIB - decided.target_size[0]) / MIB == pytest.approx(0.2 * 1024 + 10, abs=0.01)

    def test_many_guests_meet_one_host(self, shown: Shown) -> None:
        seen = shown([4, 4, 4], host_free=0.5, told={FREE: 2.5})

        assert self.delta(seen) == pytest.approx([1.5 / 4] * 3, abs=1e-4)

    def test_a_guest_that_lives_with_less_is_believed(self, shown: Shown) -> None:
        seen = shown([4], host_free=0.5, told={FREE: 0.2})
        memory, _ = self.POLICY.step(self.POLICY.start(), 0.0, *seen)
        assert memory["critical"][0] == 0.5 * GIB
        memory, _ = self.POLICY.step(memory, 1.0, *seen)

        assert memory["critical"][0] == pytest.approx(0.2 * GIB)


class TestHyperV:
    POLICY = HyperV(minimum=0)

    def sizes(self, *seen: object) -> list[float]:
        _, decided = self.POLICY.step(None, 0.0, *seen)  # type: ignore[arg-type]
        return [float(size) / GIB for size in decided.target_size]

    def test_what_a_guest_keeps(self) -> None:
        ram = np.array([100, 256, 1024, 4096, 16384]) * float(MIB)

        assert kept(ram) / MIB == pytest.approx([58, 104, 232, 488, 1000])

    def test_a_fifth_more_than_demand_is_assigned(self, shown: Shown) -> None:
        floor = (232 + 512) / 1024  # of 8 GiB of RAM
        seen = shown([2], told={AVAILABLE: 1 + floor})

        assert self.sizes(*seen) == pytest.approx([1.2], abs=1e-4)

    def test_with_six_statistics_what_is_free_is_available(self, shown: Shown) -> None:
        seen = shown([2], told={FREE: 1.0})

        assert self.sizes(*seen) == self.sizes(*shown([2], told={AVAILABLE: 1.0}))

    def test_buffers_go_first(self, shown: Shown) -> None:
        floor = (232 + 512) / 1024
        seen = shown([8, 8], budget=8.6, told={AVAILABLE: [7 + floor, 1 + floor]})

        # Demands of 1 and 7 GiB, buffers of 0.2 and 1.4 (1 up to the maximum), 0.6 of them there.
        assert self.sizes(*seen) == pytest.approx([1.2, 7.4], abs=1e-4)

    def test_then_weights_decide(self, shown: Shown) -> None:
        floor = 744 / 1024
        seen = shown([3, 3], budget=6, told={AVAILABLE: 3.0}, shares=[1 / GIB, 2 / GIB])
        assert self.sizes(*seen) == pytest.approx([1.2 * floor] * 2, abs=1e-3)

        seen = shown([2, 2], budget=3, told={AVAILABLE: 0.0}, shares=[1 / GIB, 2 / GIB])
        # A guest that has nothing available gives nothing, whatever its weight.
        assert self.sizes(*seen) == pytest.approx([2, 2], abs=1e-3)
        seen = shown([1, 2], budget=4, told={AVAILABLE: 0.0}, shares=[1 / GIB, 2 / GIB])
        # Of their 1.7 and 2.7 GiB there are 4: twice the weight, but no more than the demand.
        assert self.sizes(*seen) == pytest.approx([4 / 3, 8 / 3], abs=1e-3)

    def test_nobody_gives_its_last(self, shown: Shown) -> None:
        seen = shown([8, 8], budget=9, told={AVAILABLE: 2.0})

        assert self.sizes(*seen) == pytest.approx([8 - 2 + 744 / 1024] * 2, abs=1e-3)


class TestEsxi:
    def sizes(self, policy: Esxi, seen: tuple[Hosts, Guests]) -> list[float]:
        _, decided = policy.step(policy.start(), 0.0, *seen)
        return [float(size) / GIB for size in decided.target_size]

    def test_idle_memory_costs_four_times_as_much(self, shown: Shown) -> None:
        # With nothing at all to be kept free no host is short: so it keeps a little.
        policy = Esxi(balloon=1.0, least=1e-6, soft=1.0)
        seen = shown([8, 8], budget=10, told={AVAILABLE: [8, 0]})

        assert self.sizes(policy, seen) == pytest.approx([2, 8], abs=1e-3)

    def test_without_the_tax_shares_alone_count(self, shown: Shown) -> None:
        policy = Esxi(tax=0.0, balloon=1.0, least=1e-6, soft=1.0)
        seen = shown([8, 8], budget=10, told={AVAILABLE: [8, 0]})

        assert self.sizes(policy, seen) == pytest.approx([5, 5], abs=1e-3)

    def test_all_pay_the_same(self, shown: Shown) -> None:
        policy = Esxi(balloon=1.0, least=1e-6, soft=1.0)
        idle = np.array([6.0, 4.0, 7.0])
        shares = np.array([1.0, 2.0, 3.0])
        seen = shown([8, 8, 8], budget=14, told={AVAILABLE: idle}, shares=shares / GIB)
        size = np.array(self.sizes(policy, seen))
        active = np.minimum(8 - idle, size) / size
        price = shares / (size * (active + 4 * (1 - active)))

        assert size.sum() == pytest.approx(14, abs=1e-3)
        assert price == pytest.approx(np.full(3, price[0]), rel=1e-3)

    def test_a_balloon_takes_two_thirds_at_most(self, shown: Shown) -> None:
        seen = shown([8, 8], budget=6, told={AVAILABLE: [8, 0]})

        assert self.sizes(Esxi(), seen)[0] == pytest.approx(0.35 * 8, abs=1e-3)

    def test_what_is_free_beyond_the_least_is_given_back(self, shown: Shown) -> None:
        policy = Esxi()
        seen = shown([4, 4], budget=16, told={AVAILABLE: 2})
        least = 899 / 1024 * 16 / 28

        given = (8 - least) / 2
        assert self.sizes(policy, seen) == pytest.approx([4 + given] * 2, abs=1e-3)

    def test_between_two_looks_nothing_is_done(self, shown: Shown) -> None:
        policy = Esxi()
        seen = shown([4, 4], budget=16, told={AVAILABLE: 2})
        memory, _ = policy.step(policy.start(), 0.0, *seen)
        memory, decided = policy.step(memory, 1.0, *seen)
        assert np.isnan(decided.target_size).all()

        # A host that runs short is looked at when it does.
        seen = shown([8, 8], budget=16, told={AVAILABLE: 2})
        memory, decided = policy.step(memory, 2.0, *seen)
        assert (decided.target_size < 8 * GIB).all()
