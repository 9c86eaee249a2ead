"""Giving back: what the host has, that is promised to nobody and held by nobody."""

import numpy as np
import pytest

from aerostat.daemon.release import release
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.units import MIB


@pytest.mark.parametrize(
    ("reserved", "available", "held", "given"),
    [
        (0.0, 4000.0, 100.0, 400.0),
        (300.0, 4000.0, 100.0, 100.0),
        (500.0, 4000.0, 100.0, 0.0),
        (0.0, 150.0, 100.0, 0.0),  # they hold 200, and may take 400 more of the 150 there are
        (0.0, 600.0, 300.0, 400.0),
        (0.0, 4000.0, 400.0, 200.0),  # 100 MiB each beyond its size
    ],
)
def test_only_what_is_nobodys_is_given_back(
    reserved: float, available: float, held: float, given: float
) -> None:
    hosts = Hosts.of(
        ["host"],
        budget=np.array([1000.0]) * MIB,
        available=np.array([available]) * MIB,
        reserved=np.array([reserved]) * MIB,
    )
    guests = Guests.of(
        ["a", "b"],
        max_size=np.full(2, 1024.0) * MIB,
        guest_size=np.full(2, 300.0) * MIB,
        held=np.full(2, held) * MIB,
        guarantee=np.full(2, 100.0) * MIB,
    )
    _, plan = step(State.empty(), 10.0, hosts, guests)
    plan.target_size[:] = np.nan
    moves = release(plan, hosts, guests)

    assert sum(move.change for move in moves) == pytest.approx(given * MIB, abs=2 * 4096)
