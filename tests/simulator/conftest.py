"""What the simulator's tests share: small houses of plain guests."""

from collections.abc import Callable

import pytest

from aerostat.model.plans import Moment, Plan
from aerostat.simulator.world import GuestSpec, House
from aerostat.units import GIB, MIB

MakeHouse = Callable[..., House]


@pytest.fixture(scope="session")
def house() -> MakeHouse:
    """Return a maker of houses: guests of a GiB that breathe, each in its own time."""

    def make(
        name: str = "house", count: int = 4, *, budget: float = 2.5, swap: float = 1.0
    ) -> House:
        guests = tuple(
            GuestSpec(
                max_size=1.0 * GIB,
                plan=Plan(
                    [
                        Moment(0.0, 150.0 * MIB, read_rate=20.0 * MIB, read_span=300.0 * MIB),
                        Moment(10.0 + 3 * row, 200.0 * MIB),
                        Moment(11.0 + 3 * row, 500.0 * MIB + row * 50.0 * MIB),
                        Moment(25.0 + 3 * row, 500.0 * MIB),
                        Moment(26.0 + 3 * row, 100.0 * MIB),
                    ],
                    grow_rate=256.0 * MIB,
                ),
                swap_size=512.0 * MIB * (row % 2),
                reporting=row % 2 == 0,
                guarantee=200.0 * MIB,
            )
            for row in range(count)
        )
        return House(name, budget * GIB, guests, swap_size=swap * GIB)

    return make
