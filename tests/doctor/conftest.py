"""A host and a guest that are well, for tests to spoil."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.daemon.snapshot import GuestRow
from aerostat.doctor.guest import GuestFacts
from aerostat.host.budget import HostReading
from aerostat.host.mounts import CgroupMounts
from aerostat.host.survey import Survey
from aerostat.hypervisors.base import Examination
from aerostat.units import GIB

FIGURES = {"free_memory": GIB, "available_memory": GIB, "total_memory": 4 * GIB, "alloc_stalls": 0}


@pytest.fixture
def survey() -> Survey:
    """Return a host that is set up well."""
    return Survey(
        release="6.12.9-amd64",
        pressure=True,
        trigger=True,
        overcommit=0,
        cgroups=CgroupMounts(Path("/sys/fs/cgroup"), None),
        memory_cgroups=True,
        zswap=False,
        zram=(),
        shared_pages=0,
        arc=0,
    )


@pytest.fixture
def reading() -> HostReading:
    """Return a host that fares well."""
    return HostReading(
        budget=14 * GIB,
        total=16 * GIB,
        available=8 * GIB,
        pressure=0.0,
        swap_out=0.0,
        swap_in=0.0,
        swap_total=8 * GIB,
        swap_free=8 * GIB,
    )


@pytest.fixture
def guest() -> Callable[..., GuestFacts]:
    """Return a function that makes a guest that is well, but for what it is told.

    Names of the row's fields are given as they are, those of the examination after ``set_up_``.
    """

    def make(**wrong: Any) -> GuestFacts:
        row: dict[str, Any] = {
            "key": "qmp:/run/web1.qmp",
            "name": "web1",
            "source": "/run/web1.qmp",
            "condition": "fresh",
            "max_size": 4 * GIB,
            "guest_size": 4 * GIB,
            "total_memory": 4 * GIB,
            "held": GIB,
            "pressure": 0.0,
            "statistics": FIGURES,
        }
        examination: dict[str, Any] = {
            "kind": "qemu",
            "running": True,
            "may_change": True,
            "balloon": True,
            "driver": True,
            "statistics": True,
            "deflate_on_oom": True,
            "free_page_reporting": True,
            "huge_pages": False,
            "locked_memory": False,
            "passthrough": False,
            "swap": True,
        }
        facts: dict[str, Any] = {}
        for name, value in wrong.items():
            if name.startswith("set_up_"):
                examination[name.removeprefix("set_up_")] = value
            elif name in {"host_swaps", "managing", "problem", "examination"}:
                facts[name] = value
            else:
                row[name] = value
        facts.setdefault("examination", Examination(row["key"], **examination))
        return GuestFacts(GuestRow(**row), **facts)

    return make
