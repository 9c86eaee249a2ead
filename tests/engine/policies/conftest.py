"""What policies are shown in these tests: a host or several, and guests in GiB."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, Guests, Hosts
from aerostat.units import GIB

Shown = tuple[Hosts, Guests]


@pytest.fixture(scope="session")
def shown() -> Callable[..., Shown]:
    """Return a maker of one host and its guests.

    Sizes are GiB, a figure or one for each guest; `told` has statistics by tag, memory in GiB too.
    """

    def make(
        size: Sequence[float],
        *,
        budget: float = 16.0,
        host_free: float | None = None,
        max_size: float | Sequence[float] = 8.0,
        sampled: float = 0.0,
        told: dict[Tag, Any] | None = None,
        **columns: Any,
    ) -> Shown:
        count = len(size)

        def column(value: Any) -> Any:
            return np.full(count, 1.0) * np.asarray(value, dtype=np.float64)

        statistics = np.full((count, STATISTICS), np.nan)
        for tag, value in (told or {}).items():
            memory = Tag.FREE_MEMORY <= tag <= Tag.DISK_CACHES
            statistics[:, tag] = column(value) * (GIB if memory else 1.0)
        figures = {name: column(value) * GIB for name, value in columns.items()}
        guests = Guests.of(
            [f"guest-{row}" for row in range(count)],
            guest_size=column(size) * GIB,
            max_size=column(max_size) * GIB,
            statistics=statistics,
            sample_time=column(sampled),
            held=column(size) * GIB if host_free is None else column(0.0),
            **figures,
        )
        known = {} if host_free is None else {"available": np.array([host_free * GIB])}
        return Hosts.of(["host"], budget=np.array([budget * GIB]), **known), guests

    return make
