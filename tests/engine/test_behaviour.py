"""What an operator sees: who gives, who gets, and why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.conditions import Condition
from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.units import KIB, MIB

Make = Callable[..., Any]


def test_idle_guests_give_until_the_budget_holds(world: Make) -> None:
    host = world([512, 512, 512], budget=900)
    plan = host.run(60)

    assert host.size.sum() <= 900 * MIB
    assert plan.accounts.exposure[0] == 0
    assert (host.size >= host.use + plan.reserve).all()


def test_a_newcomer_is_not_squeezed_below_its_share_by_a_single_sample(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.use[:] = 20 * MIB
    host.use[1] = 500 * MIB
    plan = host.run(1)
    assert host.size[0] >= plan.entitlement[0]

    host.run(40)
    assert host.size[0] < plan.entitlement[0] - 100 * MIB


def test_a_guest_that_is_seldom_heard_keeps_its_share(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.use[:] = 20 * MIB
    host.use[1] = 500 * MIB
    for second in range(120):
        host.silent[0] = second % 12 > 0
        plan = host.run(1)
        assert host.size[0] >= plan.entitlement[0]
    host.silent[0] = False
    assert "its figures come too seldom" in host.run(1).explain("guest-0")

    host.run(40)
    assert host.size[0] < plan.entitlement[0] - 100 * MIB


def test_nobody_gives_while_the_budget_is_ample(world: Make) -> None:
    host = world([512, 512, 512], budget=2000)
    plan = host.run(60)

    assert np.array_equal(host.size, host.max_size)
    assert plan.moves() == []


def test_density_takes_idle_memory_without_need(world: Make) -> None:
    host = world([512, 512], budget=2000, settings=Settings(mode="density"))
    plan = host.run(60)

    assert np.allclose(host.size, host.use + plan.reserve, atol=12 * MIB)


def test_a_hungry_guest_is_fed_at_once_from_the_pool(world: Make) -> None:
    host = world([512, 512, 512], budget=900, settings=Settings(pool_share=0.04))
    host.run(60)
    before = host.size[0]
    host.use[0] = before - 5 * MIB
    plan = host.run(1)

    move = next(move for move in plan.moves() if move.key == "guest-0")
    assert move.reason is Reason.GROW_DISTRESS
    assert host.size[0] >= before + 24 * MIB


def test_a_guest_gets_back_what_it_needs_within_seconds(world: Make) -> None:
    host = world([512, 512, 512], budget=900)
    host.run(60)
    host.use[1] = 400 * MIB
    host.run(8)

    assert host.size[1] >= host.use[1] + 20 * MIB
    assert host.size.sum() <= 900 * MIB


def test_cache_is_not_counted_as_need(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.cache[0] = 300 * MIB
    plan = host.run(40)

    assert np.isclose(plan.demand[0], host.use[0], atol=MIB)


def test_six_tags_count_cache_as_use(world: Make) -> None:
    host = world([512], budget=600)
    host.lies[0] = np.full(16, np.nan)
    host.lies[0][4] = 100 * MIB

    assert host.plan().demand[0] == 412 * MIB


def test_statistics_that_are_all_absent_are_no_sample(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.lies[0] = np.full(16, np.nan)
    plan = host.run(5)

    assert plan.condition[0] == Condition.SILENT
    assert plan.confidence[0] == 0.0
    assert plan.condition[1] == Condition.FRESH


def test_beyond_the_entitlement_real_use_goes_before_reserves(world: Make) -> None:
    host = world([1024, 1024, 1024], budget=1500)
    host.use[:] = 50 * MIB
    host.run(60)
    host.use[1] = 420 * MIB
    plan = host.run(5)
    reserve = plan.reserve[1]
    host.use[0] = 800 * MIB
    plan = host.run(30)

    assert reserve > 200 * MIB
    assert plan.entitlement[0] == 500 * MIB
    # Divided evenly, it would have got less than 700.
    assert host.size[0] >= 760 * MIB
    assert host.size[1] >= plan.want[1] - MIB
    assert plan.reserve[1] >= host.settings.reserve_floor


def test_harm_stops_the_taking_and_withdraws_the_request(world: Make) -> None:
    host = world([512, 512], budget=500)
    host.stuck[:] = True
    host.run(3)
    host.stalls[0] = 40.0
    host.now += 1.0
    plan = host.plan()

    assert plan.reason[0] == Reason.EASE
    assert plan.target_size[0] == host.size[0]
    assert "allocations stall" in plan.explain("guest-0")


def test_a_guest_that_has_what_it_needs_is_not_grown_for_its_stalls(world: Make) -> None:
    # It recycles its own page cache, say: what it needs by its own figures it has.
    host = world([512, 512, 512], budget=900)
    host.run(60)
    before = host.size[0]
    host.stalls[0] = 40.0
    plan = host.run(5)

    assert plan.acute[0] >= host.settings.distress_pressure
    assert host.size[0] <= before + plan.accounts.budget[0] * host.settings.pool_share
    assert plan.reason[0] != Reason.GROW_DISTRESS


def test_others_give_their_comfort_for_a_guest_that_is_spared(world: Make) -> None:
    host = world([512, 512, 512], budget=1100)
    host.stalls[0] = 40.0
    plan = host.run(40)

    assert host.size[0] == 512 * MIB
    assert plan.accounts.exposure[0] == 0
    assert (host.size[1:] >= plan.want[1:]).all()


def test_what_our_own_balloon_reclaims_is_no_harm(world: Make) -> None:
    host = world([512, 512], budget=500)
    reclaimed = np.zeros(2)
    for _ in range(20):
        before = host.size.copy()
        host.run(1)
        # All that the balloons take comes out of page cache, by direct reclaim.
        reclaimed += before - host.size
        host.extra = {Tag.DIRECT_RECLAIMS: reclaimed, Tag.ALLOC_STALLS: reclaimed / (128 * KIB)}
    plan = host.plan()

    assert (plan.pressure < host.settings.harm_pressure).all()
    assert host.size.sum() <= 500 * MIB


def test_a_cooled_down_guest_gives_again(world: Make) -> None:
    host = world([512, 512], budget=600, settings=Settings(plenty=100.0))
    host.stalls[0] = 40.0
    host.run(5)
    during = host.size[0]
    host.stalls[0] = 0.0
    host.run(30)

    assert during == 512 * MIB
    assert host.size[0] < during


def test_what_lies_free_is_taken_at_once_and_of_who_cools_down_too(world: Make) -> None:
    host = world([512, 512], budget=600, settings=Settings(plenty=100.0))
    host.use[:] = 100 * MIB
    host.stalls[0] = 40.0
    host.run(5)
    during = host.size[0]
    host.stalls[0] = 0.0
    host.run(8)

    assert during == 512 * MIB
    assert host.size.sum() <= 600 * MIB
    # All of the reserve is left to it.
    assert host.size[0] >= 100 * MIB + host.settings.reserve_floor


def test_a_guest_that_begins_to_grow_is_given_what_it_will_take(world: Make) -> None:
    host = world([2048, 2048], budget=2048, settings=Settings(mode="density"))
    host.use[:] = 200 * MIB
    host.run(60)
    calm = host.size[0]
    host.use[0] += 100 * MIB
    plan = host.run(1)

    assert calm < 500 * MIB
    assert plan.target_size[0] >= 300 * MIB + 250 * MIB


def test_swap_in_is_healing_and_not_pressure(world: Make) -> None:
    host = world([1024], budget=2000)
    quiet = np.full(16, np.nan)
    quiet[[0, 2, 6]] = 0.0, 0.0, 512 * MIB
    host.lies[0] = quiet
    host.run(1)
    healing = quiet.copy()
    healing[[0, 2]] = 5000 * 4096.0, 5000.0
    host.lies[0] = healing
    healed = host.run(1).pressure[0]
    faulting = healing.copy()
    faulting[2] += 5000.0
    host.lies[0] = faulting

    assert healed == 0.0
    assert host.run(1).pressure[0] > 0.3


def test_a_stuck_balloon_is_asked_no_more(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.stuck[0] = True
    reasons = []
    for _ in range(12):
        plan = host.run(1)
        reasons.append(Reason(int(plan.reason[0])))
    later = [host.run(1).target_size[0] for _ in range(20)]

    assert Reason.WITHDRAW in reasons
    assert plan.condition[0] == Condition.STUCK
    assert np.isnan(later).all()


def test_a_balloon_that_frees_nothing_is_found_out(world: Make) -> None:
    host = world([1024, 1024], budget=1100)
    host.locked[0] = True
    plan = host.run(60)

    assert plan.condition[0] == Condition.USELESS
    assert plan.condition[1] == Condition.FRESH
    assert "frees no memory of the host" in plan.explain("guest-0")


def test_a_useless_guest_gets_back_what_its_balloon_holds(world: Make) -> None:
    host = world([1024, 1024], budget=2000)
    host.use[1] = 950 * MIB
    host.locked[0] = True
    host.run(25)
    taken = host.size[0]
    plan = host.run(5)
    assert plan.condition[0] == Condition.USELESS
    assert host.size[0] == taken
    host.budget[0] = 2400 * MIB
    plans = [host.run(1) for _ in range(5)]
    given = next(plan for plan in plans if plan.reason[0] == Reason.GIVE_BACK)

    assert taken < 990 * MIB
    assert "its balloon frees no memory of the host" in given.explain("guest-0")
    assert host.size[0] == 1024 * MIB
    assert plans[-1].condition[0] == Condition.USELESS
    assert plans[-1].reason[0] == Reason.ALONE


def test_reading_files_is_no_distress(world: Make) -> None:
    host = world([512, 512], budget=2000)
    host.run(5)
    for _ in range(10):
        host.block_reads = np.nan_to_num(host.block_reads) + 200 * MIB
        plan = host.run(1)

    assert (plan.pressure == 0).all()


def test_a_guest_that_reads_more_since_it_was_shrunk_is_spared(world: Make) -> None:
    host = world([512, 512], budget=600, settings=Settings(loose_rate=0.0))
    host.block_reads[:] = 0.0
    host.run(3)
    for _ in range(2):
        host.block_reads[0] += 300 * MIB
        plan = host.run(1)

    assert plan.pressure[0] >= host.settings.harm_pressure
    assert plan.pressure[1] == 0
    assert plan.reason[0] == Reason.FELT_IT
    assert "reads more from disk" in plan.explain("guest-0")
    # By itself it is no distress, and what goes on and on is usual.
    assert plan.acute[0] < host.settings.distress_pressure


def test_disk_reads_that_are_told_now_and_then_give_a_rate(world: Make) -> None:
    host = world([512, 512], budget=900)
    reads, rates = 0.0, []
    for second in range(40):
        reads += 30 * MIB
        host.block_reads[0] = reads if second % 12 == 0 else np.nan
        rates.append(float(host.run(1) and host.state.read_rate[0]))

    assert np.isnan(rates[11])
    assert np.allclose(rates[12:], 30 * MIB)


def test_more_disk_reads_than_usual_count_though_told_now_and_then(world: Make) -> None:
    host = world([512, 512], budget=600, settings=Settings(loose_rate=0.0))
    pressures = []
    for second in range(24):
        host.block_reads[0] = 0.0 if second < 12 else 4000 * MIB
        if second % 6:
            host.block_reads[0] = np.nan
        pressures.append(float(host.run(1).pressure[0]))

    assert max(pressures[:12]) < host.settings.harm_pressure <= pressures[12]


def test_untouched_memory_is_not_mistaken_for_a_useless_balloon(world: Make) -> None:
    host = world([1024, 1024], budget=1100)
    host.use[:] = 60 * MIB
    plan = host.run(120)

    assert (plan.condition == Condition.FRESH).all()


def test_memory_taken_back_by_the_guest_counts_as_harm(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.run(40)
    host.size[0] += 64 * MIB
    plan = host.run(1)

    assert plan.pressure[0] >= host.settings.harm_pressure
    assert plan.reason[0] != Reason.SHRINK_IDLE


def test_a_pinned_size_is_approached_and_kept(world: Make) -> None:
    host = world([512, 512], budget=2000)
    host.pinned[0] = 256 * MIB
    host.run(40)

    assert host.size[0] == 256 * MIB
    assert host.size[1] == 512 * MIB


def test_a_pin_above_what_the_budget_gives_is_no_reason_to_shrink(world: Make) -> None:
    host = world([512, 512], budget=500)
    host.run(60)
    host.use[:] = 240 * MIB
    host.pinned[0] = 400 * MIB
    reasons = {int(host.run(1).reason[0]) for _ in range(20)}

    assert Reason.SHRINK_PINNED not in reasons


def test_an_exempt_guest_is_never_asked(world: Make) -> None:
    host = world([512, 512], budget=500)
    host.managed[0] = False
    plan = host.run(40)

    assert host.size[0] == 512 * MIB
    assert plan.condition[0] == Condition.EXEMPT
    assert host.size[1] < 512 * MIB


def test_explaining_an_unknown_guest_is_a_key_error(world: Make) -> None:
    with pytest.raises(KeyError):
        world([512], budget=500).plan().explain("nobody")


def test_a_reserve_is_learned_from_bursts(world: Make) -> None:
    host = world([1024, 1024], budget=1500, settings=Settings(growth_memory=40.0))
    host.run(10)
    before = host.plan().reserve[0]
    host.use[0] += 100 * MIB
    host.run(1)
    after = host.plan().reserve[0]
    host.run(200)

    assert before < 70 * MIB
    assert after >= 100 * MIB
    assert host.plan().reserve[0] < 70 * MIB


def test_who_has_plenty_again_need_not_cool_down(world: Make) -> None:
    host = world([512, 512], budget=600)
    host.stalls[0] = 40.0
    host.run(5)
    during = host.size[0]
    host.stalls[0] = 0.0
    host.run(8)

    assert during == 512 * MIB
    assert host.size[0] < 512 * MIB
