"""Snapshots to be exported."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from aerostat.balloon.statistics import NAMES
from aerostat.daemon.snapshot import (
    ConnectorRow,
    GuestRow,
    HostRow,
    ReservationRow,
    Snapshot,
)
from aerostat.units import GIB, MIB

GuestMaker = Callable[..., GuestRow]


@pytest.fixture
def guest() -> GuestMaker:
    """Make a guest of which everything is known, but for what is said otherwise."""
    whole = GuestRow(
        key="libvirt:6a0e",
        name="web1",
        source="qemu:///system",
        uuid="6a0e",
        connector="libvirt",
        way="queue",
        max_size=4 * GIB,
        guest_size=3 * GIB,
        target_size=2 * GIB,
        held=GIB,
        pressure=0.25,
        sample_age=0.5,
        condition="fresh",
        demand=GIB,
        reserve=256 * MIB,
        entitlement=2 * GIB,
        guarantee=GIB,
        ceiling=4 * GIB,
        statistics={name: tag + 1 for tag, name in NAMES.items()},
    )
    return lambda **changes: replace(whole, **changes)


@pytest.fixture
def snapshot(guest: GuestMaker) -> Snapshot:
    """Give a snapshot that has a row of every kind."""
    return Snapshot(
        time=100.0,
        wall=1.8e9,
        mode="manage",
        tick=1,
        tick_duration=0.02,
        hosts=(
            HostRow(
                *("localhost", 8 * GIB, 4 * GIB, GIB, 3 * GIB, 2 * GIB, 0, 0, 5 * GIB),
                pressure=0.01,
                reserved=GIB,
                reserved_backed=GIB,
            ),
        ),
        guests=(guest(),),
        moves=3,
        failures=1,
        taken=GIB,
        given=MIB,
        journal="ok",
        reservations=(ReservationRow("new", GIB, 60.0, backed=True),),
        connectors=(ConnectorRow("libvirt", 1, None, 0),),
        config_loaded_wall=1.7e9,
    )
