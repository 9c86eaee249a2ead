"""The faults of a campaign follow from its seed."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import UsageError
from aerostat.testing.trials.faults.schedule import HOUSEHOLD, KINDS, WHOLE, Resident, Schedule
from aerostat.units import MIB

HOUSE = (
    Resident("one", "process", 64 * MIB, ("--reconnect",)),
    Resident("two", "process", 64 * MIB),
    Resident("real", "uml", 64 * MIB),
    Resident("domain", "libvirt", 64 * MIB),
)

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 60), st.integers(1, 40))
def test_any_part_of_a_campaign_can_be_made_again(seed: int, count: int, first: int) -> None:
    schedule = Schedule(HOUSE, seed)
    whole = [fault for faults in schedule.rounds(first + count) for fault in faults]
    part = [fault for faults in schedule.rounds(count, first) for fault in faults]
    assert [fault.number for fault in whole] == list(range(1, first + count + 1))
    # It begins with the round in which that fault is.
    assert part[0].number <= first
    assert part == [fault for fault in whole if part[0].number <= fault.number < first + count]


@given(seeds)
def test_who_is_hurt_is_there_and_is_hurt_once(seed: int) -> None:
    by_name = {resident.name: resident for resident in HOUSE}
    for faults in Schedule(HOUSE, seed).rounds(40):
        hurt = [(fault.victim, fault.on) for fault in faults]
        assert len(hurt) == len(set(hurt))
        for fault in faults:
            if fault.victim in HOUSEHOLD:
                assert fault.on == fault.victim
            else:
                assert fault.victim in by_name[fault.on].victims
            assert 0 <= fault.at <= WHOLE.within
            assert fault.lasts > 0


def test_every_kind_happens() -> None:
    faults = [fault for faults in Schedule(HOUSE, 1).rounds(2000) for fault in faults]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert {fault.on for fault in faults} == {*HOUSEHOLD, *(one.name for one in HOUSE)}


def test_only_what_is_asked_for_and_possible() -> None:
    def kinds(*only: str, house: tuple[Resident, ...] = HOUSE) -> set[str]:
        return set(Schedule(house, 1, only).kinds)

    assert kinds("kill-guest", "memory") == {"kill-guest", "memory-device", "memory-manager"}
    assert {KINDS[kind].victim for kind in kinds("helper")} == {"helper"}
    assert not {KINDS[kind].victim for kind in kinds(house=HOUSE[:3])} & {"helper", "libvirtd"}
    with pytest.raises(UsageError, match="no fault 'earthquake'"):
        kinds("earthquake")
    with pytest.raises(UsageError, match="no fault 'helper'"):
        kinds("helper", house=HOUSE[:3])


def test_other_seeds_other_faults() -> None:
    one, other = (list(islice(Schedule(HOUSE, seed).rounds(40), 5)) for seed in (1, 2))
    assert one != other
