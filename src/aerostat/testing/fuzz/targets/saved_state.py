"""What a manager finds of the last one: its state file, whatever is in it.

Touches a state file of its own.
"""

import functools
import json
from typing import Any

import msgspec
import numpy as np

from aerostat.daemon.lingering import Remembered
from aerostat.daemon.orders import Orders
from aerostat.daemon.savefile import VERSION, SaveFile, boot_id
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import files, json_values
from aerostat.units import GIB, MIB

_KEYS = ("qmp:/run/one", "two")
_WORDS = (
    *("version", "boot", "engine", "pins", "holds", "reservations", "guests", "name", "size"),
    *("until", "keys", "hosts", "stepped", "columns", "held", "asked", "granted", *_KEYS),
)
_NOW = 1000.0
_HOSTS = Hosts.of(("localhost",), budget=np.array([GIB]), available=np.array([2.0 * GIB]))
_GUESTS = Guests.of(
    _KEYS,
    max_size=np.full(2, 512.0 * MIB),
    guest_size=np.full(2, 400.0 * MIB),
    held=np.full(2, 300.0 * MIB),
    sample_time=np.full(2, _NOW),
    guarantee=np.full(2, 64.0 * MIB),
    ceiling=np.full(2, 512.0 * MIB),
)


@functools.cache
def _sound() -> Any:
    """Return what a manager of two guests writes."""
    orders = Orders(pins={_KEYS[0]: 256 * MIB}, holds={_KEYS[1]: "why"})
    orders.reservations.make("three", 256 * MIB, 60.0, _NOW)
    guest = Remembered(_KEYS[0], "/run/one", "one", "qmp", None, 1 << 29, 1 << 28, 1 << 27)
    learned, _ = step(State.empty(), _NOW - 1, _HOSTS, _GUESTS)
    saved = {"version": VERSION, "boot": boot_id(), "engine": learned.to_dict()}
    saved |= orders.to_dict() | {"guests": [list(guest)]}
    return json.loads(msgspec.json.encode(saved))


def run(case: bytes) -> None:
    """Load a state file, and go on from it as a manager does."""
    source = Source(case)
    if source.chance(10):
        data = source.rest()
    else:
        saved = json_values.spoil(source, _sound(), _WORDS, source.below(5))
        data = json_values.text(source, saved)
    path = files.write("state.json", data)
    saved = SaveFile(path).load(_NOW)
    assert path.exists() or path.with_name("state.json.bad").exists()
    _go_on(saved.state)
    orders = saved.orders
    assert all(0 < size < 1 << 53 for size in orders.sizes().values())
    orders.follow({_KEYS[0]: 1}, _NOW)
    for row in orders.reservations.rows(_NOW, 1e9):
        assert 0 <= row.left <= 7 * 86400
    for guest in saved.guests:
        assert guest.name.isprintable()
        assert 0 <= guest.reading(_NOW).guest_size <= guest.max_size
    msgspec.json.encode(orders.to_dict())


def _go_on(state: State) -> None:
    """Let the engine take a step; whatever it remembers, the guarantee holds."""
    learned, plan = step(state, _NOW, _HOSTS, _GUESTS)
    moved = plan.target_size[~np.isnan(plan.target_size)]
    assert ((moved >= 64 * MIB) & (moved <= 512 * MIB)).all()
    msgspec.json.encode(learned.to_dict())


TARGET = Target(
    "saved-state",
    "the state that a manager finds when it starts",
    run,
    allowed=(),
)
