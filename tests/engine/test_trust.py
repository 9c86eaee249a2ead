"""How far a guest's word is believed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aerostat.balloon.statistics import Tag
from aerostat.units import MIB

Make = Callable[..., Any]


def lying(host: Any, seconds: int) -> Any:
    """Let the first guest claim that it has nothing left, and faults that nobody has seen."""
    for _ in range(seconds):
        lie = host.lies.setdefault(0, np.zeros(16))
        lie[Tag.MAJOR_FAULTS] += 10_000
        lie[Tag.ALLOC_STALLS] += 1_000
        host.sampled[0] = host.now
        host.block_reads = np.nan_to_num(host.block_reads)
        plan = host.run(1)
    return plan


def test_who_claims_faults_that_the_disk_has_not_seen_is_not_believed(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1500)
    plan = lying(host, 60)

    assert host.state.trust[0] < 0.1
    assert (host.state.trust[1:] == 1.0).all()
    assert plan.pressure[0] < host.settings.harm_pressure


def test_what_a_liar_gains_ends_at_its_entitlement_when_others_need_memory(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1500)
    lying(host, 60)
    host.use[1:] = 480 * MIB
    plan = lying(host, 60)

    assert host.size[0] <= plan.entitlement[0] + 8 * MIB
    assert (host.size[1:] >= 480 * MIB).all()


def test_up_to_its_entitlement_even_a_liar_is_served(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1500)
    host.use[0] = 490 * MIB
    host.use[1:] = 600 * MIB
    plan = lying(host, 90)

    assert plan.want[0] >= plan.entitlement[0] - MIB


def test_faults_that_the_disk_has_seen_are_believed(world: Make) -> None:
    host = world([1024], budget=2000)
    faults = np.zeros(1)
    host.extra = {Tag.MAJOR_FAULTS: faults, Tag.SWAP_IN: np.zeros(1)}
    host.block_reads[0] = 0.0
    for _ in range(10):
        faults += 1000.0
        host.block_reads[0] += 1000 * 32 * 1024
        host.run(1)

    assert host.state.trust[0] == 1.0
