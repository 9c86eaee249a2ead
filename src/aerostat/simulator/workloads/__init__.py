"""Families of guests: what policies are tuned and judged on. Adapter, NumPy.

Each family is a room that says in its first lines what it stands for and where its magnitudes come
from. All randomness is a seed's.
"""

from collections.abc import Mapping

from aerostat.simulator.workloads import (
    boot_storm,
    build,
    diurnal,
    files,
    flash_crowd,
    jvm,
    leak,
    liar,
    sandbox,
    steady,
)
from aerostat.simulator.workloads.family import Family

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        steady.FAMILY,
        diurnal.FAMILY,
        build.FAMILY,
        jvm.FAMILY,
        files.FAMILY,
        leak.FAMILY,
        sandbox.FAMILY,
        boot_storm.FAMILY,
        flash_crowd.FAMILY,
        liar.FAMILY,
    )
}
"""By name, in the order in which reports have them."""

__all__ = ["FAMILIES", "Family"]
