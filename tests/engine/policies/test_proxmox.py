"""Proxmox' rules."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.base import Memory
from aerostat.engine.policies.proxmox import Proxmox
from aerostat.units import GIB, MIB

Shown = Callable[..., tuple[Hosts, Guests]]


def changes(
    shown: Shown,
    size: Sequence[float],
    free: Sequence[float],
    host_free: float,
    policy: Proxmox | None = None,
) -> list[float]:
    """Return by how many MiB guests of 8 GiB change that the policy has seen before."""
    seen = shown(size, budget=32, host_free=host_free, told={Tag.FREE_MEMORY: free}, guarantee=1.0)
    keys = tuple(f"guest-{row}" for row in range(len(size)))
    memory = Memory(keys, {"seen": np.ones(len(size))})
    _, decided = (policy or Proxmox(minimum=0)).step(memory, 0.0, *seen)
    change = decided.target_size / MIB - np.asarray(size) * GIB / MIB
    return [round(float(each)) for each in np.nan_to_num(change)]


def test_with_memory_left_those_grow_that_have_little_free(shown: Shown) -> None:
    # 80 % of 32 GiB less the 16 that are used: the host is 9.6 GiB below its goal.
    assert changes(shown, [2, 2], [0.1, 1.0], 16) == [100, 0]


def test_a_guest_that_tells_nothing_counts_as_one_of_them(shown: Shown) -> None:
    assert changes(shown, [2, 2], [np.nan, 1.0], 16) == [100, 0]


def test_above_its_goal_those_shrink_that_have_much_free(shown: Shown) -> None:
    assert changes(shown, [4, 4], [0.1, 1.0], 4) == [0, -100]


def test_where_nobody_has_much_free_all_shrink(shown: Shown) -> None:
    assert changes(shown, [4, 4], [0.1, 0.1], 4) == [-100, -100]


def test_near_its_goal_nothing_is_done(shown: Shown) -> None:
    assert changes(shown, [4, 4], [0.1, 1.0], 6.4 + 9 / 1024) == [0, 0]


def test_a_small_goal_is_shared(shown: Shown) -> None:
    # Above their minima guests get the same; what there is to give is 40 MiB.
    assert changes(shown, [4, 4], [0.1, 0.1], 6.4 + 40 / 1024) == [20, 20]


def test_shares_differ(shown: Shown) -> None:
    free = {Tag.FREE_MEMORY: 0.1}
    hosts, guests = shown(
        [4, 4], budget=32, host_free=32, told=free, guarantee=1.0, shares=[1 / GIB, 9 / GIB]
    )
    memory = Memory(guests.keys, {"seen": np.ones(2)})
    _, decided = Proxmox(minimum=0, change=100 * GIB).step(memory, 0.0, hosts, guests)

    # 6 GiB above their minima and 25.6 to give; what the second has no room for is given to nobody.
    assert decided.target_size / GIB == pytest.approx([4.16, 8.0], abs=1e-5)


def test_a_guest_starts_at_its_minimum(shown: Shown) -> None:
    seen = shown([8, 8], max_size=[8, 4], guarantee=[3, 0], told={Tag.FREE_MEMORY: 3.0})
    policy = Proxmox(minimum=0.25)
    memory, decided = policy.step(policy.start(), 0.0, *seen)

    assert decided.target_size / GIB == pytest.approx([3, 1])
    assert "minimum" in decided.sentence(0)
    _, decided = policy.step(memory, 10.0, *seen)
    assert "minimum" not in decided.sentence(0)
