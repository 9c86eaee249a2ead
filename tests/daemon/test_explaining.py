"""What is behind a decision, as plain values that JSON can carry."""

import json

import pytest

from aerostat.daemon.config import parse
from aerostat.errors import LinkError, UsageError
from aerostat.testing.mocks.house import House
from aerostat.units import MIB


async def test_sample_estimates_bounds_decision_and_outcome(house: House) -> None:
    house.budget = 300 * MIB
    guest = house.add("a", held=400 * MIB)
    guest.uses(400 * MIB)
    manager = await house.start(parse({"manage": True, "guests": {"shares": 7}}, "test"))
    await house.clock.advance(4)
    values = json.loads(json.dumps(manager.explain_values("fake:a"), allow_nan=False))
    assert (values["key"], values["name"]) == ("fake:a", "a")
    assert values["sample"]["available_memory"] == 400 * MIB
    assert (values["sample"]["way"], values["sample"]["sample_age"]) == ("queue", 0.0)
    assert values["bounds"]["guarantee"] == 128 * MIB
    assert (values["bounds"]["shares"], values["bounds"]["held_by_operator"]) == (7, False)
    assert values["estimates"]["demand"] < values["sample"]["guest_size"]
    decision = values["decision"]
    assert decision["condition"] == "fresh"
    assert manager.explain("fake:a") == f"a {decision['sentence']}"
    assert values["outcome"]["last_move"]["outcome"] == "accepted"
    assert values["outcome"]["last_move"]["to_size"] == guest.targets[-1]


async def test_of_a_guest_that_cannot_be_read_little_is_known(house: House) -> None:
    house.add("a", fault=LinkError("no answer"))
    manager = await house.start()
    values = json.loads(json.dumps(manager.explain_values("fake:a"), allow_nan=False))
    assert (values["estimates"], values["decision"]) == (None, None)
    assert values["sample"]["error"] == "no answer"
    assert values["outcome"]["last_move"] is None
    with pytest.raises(UsageError, match="no such guest"):
        manager.explain_values("fake:b")
