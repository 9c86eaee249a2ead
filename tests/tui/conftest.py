"""Snapshots to show: a little house of guests."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow, Snapshot
from aerostat.units import GIB, MIB


def make_guest(name: str = "web", **changes: object) -> GuestRow:
    values: dict[str, object] = {
        "key": f"qmp:/run/{name}.sock",
        "name": name,
        "source": "qmp",
        "max_size": 512 * MIB,
        "guest_size": 384 * MIB,
        "target_size": 384 * MIB,
        "held": 256 * MIB,
        "free_memory": 100 * MIB,
        "available_memory": 120 * MIB,
        "disk_caches": 40 * MIB,
        "major_fault_rate": 0.0,
        "swap_out_rate": 0.0,
        "pressure": 0.05,
        "sample_age": 0.4,
        "condition": "fresh",
        "demand": 200 * MIB,
    }
    return GuestRow(**(values | changes))  # type: ignore[arg-type]


def make_snapshot(*guests: GuestRow, **changes: object) -> Snapshot:
    host = HostRow(
        "local", 2 * GIB, 8 * GIB, 900 * MIB, 1400 * MIB, 400 * MIB, 0, 100 * MIB, 648 * MIB
    )
    values: dict[str, object] = {"time": 1000.0, "wall": 1.7e9, "hosts": (host,), "guests": guests}
    return Snapshot(**(values | changes))  # type: ignore[arg-type]


def make_move(name: str = "web", **changes: object) -> MoveRow:
    values: dict[str, object] = {
        "key": f"qmp:/run/{name}.sock",
        "name": name,
        "from_size": 512 * MIB,
        "to_size": 384 * MIB,
        "reason": "shrink_idle",
        "sentence": "gives 128 MiB: 200 MiB of its 512 MiB lie idle",
        "time": 1000.0,
        "wall": 1.7e9,
        "outcome": "accepted",
    }
    return MoveRow(**(values | changes))  # type: ignore[arg-type]


def draw(renderable: RenderableType, width: int, *, color: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="truecolor" if color else None,
        legacy_windows=False,
    )
    console.print(renderable)
    return stream.getvalue()


@pytest.fixture
def guest() -> Callable[..., GuestRow]:
    return make_guest


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    return make_snapshot


@pytest.fixture
def move() -> Callable[..., MoveRow]:
    return make_move


@pytest.fixture
def drawn() -> Callable[..., str]:
    """Return a function that draws a renderable as text, so many cells wide."""
    return draw
