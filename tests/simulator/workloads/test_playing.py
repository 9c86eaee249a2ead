"""A plan as real guests play it: about the same, and sent to them as JSON."""

import json

import numpy as np
import pytest

from aerostat.model.plans import Moment, Plan
from aerostat.model.workload import Workload
from aerostat.simulator.workloads import FAMILIES
from aerostat.simulator.workloads.playing import to_workload
from aerostat.units import MIB


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_held_is_about_what_was_planned(name: str) -> None:
    plan = FAMILIES[name].guests(1, 1, 600, first=5)[0].plan
    workload = to_workload(plan, name)
    grid = np.arange(0, 600 - plan.arrives, 3.3)
    at, hold = zip(*((moment.at, moment.hold) for moment in plan.moments), strict=True)

    planned = np.interp(grid + plan.arrives, at, hold)
    played = np.array([workload.wanted(second).hold for second in grid])

    assert np.abs(played - planned).mean() < 0.05 * planned.mean() + MIB
    assert workload.grow_rate == plan.grow_rate


def test_rises_are_leaks_and_falls_are_stairs() -> None:
    plan = Plan(
        [Moment(0, 0.0), Moment(10, 100.0 * MIB), Moment(20, 100.0 * MIB), Moment(30, 50.0 * MIB)]
    )
    steps = to_workload(plan).steps

    assert steps[0].leak_rate == 10 * MIB
    assert steps[0].leak_limit == 100 * MIB
    assert [step.hold // MIB for step in steps] == [0, 83, 66, 50]


def test_what_is_read_changes_with_the_plan() -> None:
    plan = Plan(
        [
            Moment(5, 1.0 * MIB, read_rate=1.0 * MIB, read_span=9.0 * MIB),
            Moment(6, 1.0 * MIB, read_rate=1.0 * MIB, read_span=9.0 * MIB),
            Moment(7, 1.0 * MIB, read_rate=3.0 * MIB, read_span=9.0 * MIB),
        ],
        arrives=2.0,
    )
    steps = to_workload(plan).steps

    assert [(step.at, step.read_rate / MIB, step.read_span // MIB) for step in steps] == [
        (0, 1, 9),
        (5, 3, 9),
    ]


def test_it_survives_being_sent_to_a_guest() -> None:
    workload = to_workload(FAMILIES["build"].guests(1, 1, 300)[0].plan)

    assert Workload.from_dict(json.loads(json.dumps(workload.to_dict()))) == workload
