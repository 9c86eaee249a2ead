"""What was learned: saved, loaded, and read from what an earlier version saved."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aerostat.engine.conditions import Condition
from aerostat.engine.settings import Settings
from aerostat.engine.state import COLUMNS, State
from aerostat.errors import UsageError

Make = Callable[..., Any]

NEW_IN_2 = {
    "block_reads", "reads_time", "read_rate", "condition", "condition_since", "asked_from",
    "taken_time", "speed_up", "speed_down", "host_strain", "host_lid", "host_backed",
}  # fmt: skip


def version_1(state: State) -> dict[str, Any]:
    """Return a state as version 1 saved it, with its first guest stuck and its second useless."""
    saved = json.loads(json.dumps(state.to_dict()))
    del saved["hosts"]
    for name in NEW_IN_2:
        del saved["columns"][name]
    saved["columns"]["stuck_until"] = [state.stepped + 10, None, None]
    saved["columns"]["useless_until"] = [None, state.stepped + 100, None]
    return {**saved, "version": 1}


def test_a_state_comes_back_from_json(world: Make) -> None:
    host = world([512, 300], budget=500)
    host.reserved[0] = host.host_pressure[0] = 0.5
    host.run(10)
    back = State.from_dict(json.loads(json.dumps(host.state.to_dict())))

    assert (back.keys, back.hosts, back.stepped) == (host.keys, ("host-0",), host.state.stepped)
    for name in COLUMNS:
        assert np.array_equal(getattr(back, name), getattr(host.state, name), equal_nan=True), name


def test_a_state_of_version_1_is_read(world: Make) -> None:
    host = world([512, 512, 512], budget=2000)
    host.run(10)
    old = State.from_dict(version_1(host.state))

    assert np.array_equal(old.demand, host.state.demand)
    assert np.isnan(old.speed_down).all()
    assert old.hosts == ()
    host.state = old
    plan = host.plan()
    assert plan.condition.tolist() == [Condition.STUCK, Condition.USELESS, Condition.FRESH]
    settings = Settings()
    assert plan.condition_since[0] == old.stepped + 10 - settings.stuck_for
    assert plan.condition_since[1] == old.stepped + 100 - settings.useless_for


def test_a_guest_that_was_stuck_in_version_1_is_asked_again_when_that_is_over(world: Make) -> None:
    host = world([512, 512, 512], budget=2000)
    host.run(10)
    host.state = State.from_dict(version_1(host.state))
    host.run(12)

    assert host.plan().condition[0] == Condition.FRESH


def test_hosts_are_followed_by_name(world: Make) -> None:
    host = world([512], budget=600)
    host.host_pressure[0] = 0.9
    host.run(5)
    turned = host.state.aligned(host.keys, ("new", "host-0"))

    assert turned.host_strain.tolist() == [0.0, host.state.host_strain[0]]
    assert host.state.host_strain[0] > 0.5


def test_a_column_that_another_manager_did_not_have_is_blank(world: Make) -> None:
    host = world([512, 300], budget=500)
    host.run(10)
    saved = json.loads(json.dumps(host.state.to_dict()))
    for name in ("sample_size", "pressure", "host_lid"):
        del saved["columns"][name]
    saved["columns"]["of_a_newer_manager"] = ["anything"]
    back = State.from_dict(saved)

    assert np.isnan(back.sample_size).all()
    assert back.pressure.tolist() == [0.0, 0.0]
    assert np.isnan(back.host_lid).tolist() == [True]
    assert np.array_equal(back.demand, host.state.demand)
    host.state = back
    assert np.isfinite(host.run(2).demand).all()


@pytest.mark.parametrize("version", [0, 3, -1, None, "2", 1.5])
def test_another_version_is_refused(world: Make, version: Any) -> None:
    saved = {**State.empty().to_dict(), "version": version}
    with pytest.raises(UsageError):
        State.from_dict(saved)
