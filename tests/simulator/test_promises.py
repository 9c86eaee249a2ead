"""What holds in any world, whatever guests do and whoever comes and goes.

Long random runs with our policy: bytes, guarantees, the ledger, and that nobody is moved by what
happens in other houses.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.static import Static
from aerostat.model.plans import Moment, Plan
from aerostat.simulator.run import Course, Run, simulate
from aerostat.simulator.sampling import Sampling
from aerostat.simulator.world import GuestSpec, House, Migration, Plug, World
from aerostat.units import GIB, MIB

pytestmark = pytest.mark.slow

SECONDS = 60.0
times = st.floats(0.0, SECONDS)
amounts = st.integers(0, 900).map(lambda mib: float(mib * MIB))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    moments = [
        Moment(
            at,
            hold=(hold := draw(amounts)),
            cold=hold * draw(st.sampled_from([0.0, 0.3])),
            read_rate=draw(st.sampled_from([0.0, 30.0 * MIB])),
            read_span=draw(amounts),
            skew=draw(st.sampled_from([0.0, 1.0, 3.0])),
        )
        for at in sorted(draw(st.lists(times, min_size=1, max_size=4)))
    ]
    arrives = draw(st.sampled_from([0.0, 0.0, 12.5]))
    departs = draw(st.sampled_from([np.inf, np.inf, 40.0]))
    return Plan(moments, draw(st.sampled_from([128.0, 1024.0])) * MIB, arrives, departs)


@st.composite
def guests(draw: st.DrawFn, houses: int) -> GuestSpec:
    size = draw(st.sampled_from([0.5, 1.0])) * GIB
    plug, move = draw(times), draw(times)
    return GuestSpec(
        max_size=size,
        plan=draw(plans()),
        swap_size=draw(st.sampled_from([0.0, 0.5])) * GIB,
        deflate_on_oom=draw(st.booleans()),
        reporting=draw(st.booleans()),
        guarantee=draw(st.sampled_from([0.0, 0.25, 0.5])) * size,
        dialect=draw(st.sampled_from(["16", "10", "6", "liar", "silent", "windows"])),
        plugs=draw(st.sampled_from([(), (), (Plug(plug, 1.5 * size),)])),
        migrations=draw(st.sampled_from([(), (), (Migration(move, f"house {houses - 1}"),)])),
        silent_from=draw(st.sampled_from([np.inf, np.inf, 20.0])),
    )


@st.composite
def worlds(draw: st.DrawFn, *, apart: bool = False) -> list[House]:
    count = draw(st.integers(1, 3))
    return [
        House(
            f"house {row}",
            draw(st.sampled_from([0.6, 1.5, 3.0])) * GIB,
            tuple(
                GuestSpec(spec.max_size, spec.plan, spec.swap_size, dialect=spec.dialect)
                if apart
                else spec
                for spec in draw(st.lists(guests(count), min_size=1, max_size=5))
            ),
            swap_size=draw(st.sampled_from([0.0, 0.5])) * GIB,
            node_sizes=draw(st.sampled_from([(), (0.3 * GIB,)])),
        )
        for row in range(count)
    ]


class Judge:
    """Looks at each decision: guarantees, limits, and that grants are covered."""

    def __init__(self) -> None:
        self.decisions = 0

    def __call__(self, _now: float, hosts: Hosts, guests: Guests, plan: Any) -> None:
        self.decisions += 1
        target = plan.target_size
        moved = ~np.isnan(target)
        assert (target[moved] >= guests.guarantee[moved]).all()
        assert (target[moved] <= guests.max_size[moved]).all()
        before = np.fmax(guests.guest_size, plan.asked)
        after = np.where(moved, np.fmax(guests.guest_size, target), before)
        # A guarantee is owed to a guest, covered or not.
        owed = np.maximum(guests.guarantee + 4096, before)
        granted = np.maximum(after - owed, 0.0)
        sums = np.bincount(guests.host, granted, minlength=len(hosts))
        covered = np.maximum(plan.accounts.spare, plan.accounts.cover)
        assert (sums <= covered + 4096 * len(guests)).all()


@given(worlds(), st.integers(0, 1000), st.sampled_from([0.0, 0.5]))
@settings(max_examples=settings().max_examples // 2)
def test_in_any_world(houses: list[House], seed: int, loss: float) -> None:
    judge = Judge()
    course = Course(SECONDS, seed=seed, warm_up=10.0, sampling=Sampling(1.0, 0.05, loss))
    run = Run(World.of(houses), Aerostat(), course, judge)
    result = run.finished()
    state = run._guests.state

    assert judge.decisions > 0
    assert not state.lost().any()
    assert (state.held >= 0).all()
    assert (state.balloon <= state.size).all()
    scores = result.guests
    assert (scores.lost >= 0).all()
    assert ((scores.slowdown >= 0) & (scores.slowdown <= 1)).all()
    assert (scores.mean_held <= scores.max_size + 1).all()
    assert scores.host_oom_kills.sum() == result.houses.host_oom_kills.sum()
    held = result.houses.peak_held
    assert (held <= result.houses.budget + [house.swap_size for house in houses]).all()


@given(worlds(apart=True), st.integers(0, 1000))
@settings(max_examples=settings().max_examples // 2)
@pytest.mark.parametrize("policy", [Aerostat(), Static()], ids=lambda each: each.name)
def test_a_house_fares_the_same_in_any_company(policy: Any, houses: list[House], seed: int) -> None:
    course: dict[str, Any] = {"seconds": SECONDS, "warm_up": 10.0, "seed": seed, "loss": 0.2}
    together = simulate(houses, policy, **course)
    apart = [simulate([house], policy, **course) for house in houses]

    for name in ("lost", "mean_size", "mean_held", "moves", "block_reads"):
        alone = np.concatenate([getattr(each.guests, name) for each in apart])
        assert (getattr(together.guests, name) == alone).all()
