"""Policies by name, and what all of the rivals have in common."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.engine.observation import STATISTICS, FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Policy, knobs_of
from aerostat.engine.policies.catalogue import POLICIES, find
from aerostat.engine.policies.mom import Mom
from aerostat.errors import UsageError
from aerostat.units import GIB, MIB

RIVALS = sorted(set(POLICIES) - {"aerostat"})
BLIND = {"static", "squeezed", "proxmox", "esxi", "oracle"}
"""Those that have a size for a guest, or a guess, without any figure of it."""


class Prophet:
    """Foresees half of what a guest could have, a little less with slack."""

    def need(
        self, keys: tuple[str, ...], now: float, until: float, slack: float = 0.0
    ) -> FloatArray:
        return np.full(len(keys), (1.0 - slack / 2) * GIB)

    def whole(self, keys: tuple[str, ...], now: float, until: float) -> FloatArray:
        return self.need(keys, now, until)


def rival(name: str) -> Policy:
    policy: Any = find(name)
    made: Policy = policy.foretold(Prophet()) if name == "oracle" else policy
    return made


def stage(seed: int, hosts: int, guests: int) -> tuple[Hosts, Guests]:
    """Return hosts and guests of all kinds, some of which tell little and some nothing."""
    rng = np.random.default_rng(seed)
    max_size = np.round(rng.uniform(0.25, 8, guests) * GIB)
    size = np.round(max_size * rng.uniform(0.2, 1, guests))
    ceiling = np.round(max_size * rng.uniform(0.5, 1, guests))
    statistics = rng.uniform(0, 1, (guests, STATISTICS)) * size[:, None]
    statistics[rng.random((guests, STATISTICS)) < 0.2] = np.nan
    statistics[rng.random(guests) < 0.2] = np.nan
    house = rng.integers(0, hosts, guests)
    shown = Guests.of(
        [f"guest-{row}" for row in range(guests)],
        host=house,
        managed=rng.random(guests) < 0.9,
        max_size=max_size,
        guest_size=size,
        held=np.where(rng.random(guests) < 0.8, size * rng.uniform(0.3, 1, guests), np.nan),
        statistics=statistics,
        sample_time=np.where(rng.random(guests) < 0.9, rng.uniform(0, 10, guests), np.nan),
        guarantee=np.round(ceiling * rng.uniform(0, 0.6, guests) * (rng.random(guests) < 0.7)),
        ceiling=ceiling,
        shares=rng.uniform(0.5, 4, guests),
    )
    column = np.bincount(house, max_size, minlength=hosts)
    there = Hosts.of(
        [f"host-{row}" for row in range(hosts)],
        budget=column * rng.uniform(0.3, 1.2, hosts),
        available=np.where(rng.random(hosts) < 0.5, rng.uniform(0, 8, hosts) * GIB, np.nan),
        reserved=np.where(rng.random(hosts) < 0.3, rng.uniform(0, 1, hosts) * GIB, np.nan),
    )
    return there, shown


def later(guests: Guests, seconds: float) -> Guests:
    """Return the same guests with newer figures."""
    return replace(
        guests, statistics=guests.statistics * 1.01, sample_time=guests.sample_time + seconds
    )


def rows_of(guests: Guests, host: int) -> Guests:
    """Return the guests of one host, as if there were no other."""
    rows = np.flatnonzero(guests.host == host)
    columns = {
        name: getattr(guests, name)[rows]
        for name in Guests.__slots__
        if name not in {"keys", "host"}
    }
    keys = tuple(guests.keys[row] for row in rows)
    return Guests(keys=keys, host=np.zeros(len(rows), dtype=np.int64), **columns)


def two_steps(policy: Policy, hosts: Hosts, guests: Guests) -> FloatArray:
    """Return what is asked in the first step and in a second one later, one row each."""
    memory, first = policy.step(policy.start(), 100.0, hosts, guests)
    _, second = policy.step(memory, 130.0, hosts, later(guests, 130.0))
    return np.array([first.target_size, second.target_size])


@pytest.mark.parametrize("name", RIVALS)
def test_what_all_have_in_common(name: str) -> None:
    keeps_to_limits(name, 1)
    keeps_hosts_apart(name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIVALS)
@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_same_of_many(name: str, seed: int) -> None:
    keeps_to_limits(name, seed)
    keeps_hosts_apart(name, seed)


def keeps_to_limits(name: str, seed: int) -> None:
    """Check that targets are whole pages between guarantee and ceiling."""
    hosts, guests = stage(seed, 2, 9)
    sane = guests.sane()
    asked = two_steps(rival(name), hosts, guests)
    told = ~np.isnan(asked)

    assert (told <= guests.managed).all()
    assert (asked >= sane.guarantee)[told].all()
    assert (asked <= sane.ceiling)[told].all()
    pages = np.where(asked == sane.guarantee, 0.0, np.nan_to_num(asked) % PAGE_SIZE)
    assert (pages == 0).all()


def keeps_hosts_apart(name: str, seed: int) -> None:
    """Check that a host fares as it does alone."""
    hosts, guests = stage(seed, 2, 9)
    together = two_steps(rival(name), hosts, guests)
    for host in range(2):
        columns = {
            field: getattr(hosts, field)[[host]] for field in Hosts.__slots__ if field != "names"
        }
        alone = two_steps(
            rival(name), Hosts(names=(hosts.names[host],), **columns), rows_of(guests, host)
        )
        np.testing.assert_allclose(
            together[:, guests.host == host], alone, rtol=0, atol=PAGE_SIZE, equal_nan=True
        )


@pytest.mark.parametrize("name", RIVALS)
def test_nothing_that_it_is_shown_is_changed_and_all_is_said(name: str) -> None:
    hosts, guests = stage(7, 3, 40)
    for columns, kind in ((hosts, Hosts), (guests, Guests)):
        for field in kind.__slots__:
            if isinstance(getattr(columns, field), np.ndarray):
                getattr(columns, field).flags.writeable = False
    policy = rival(name)
    memory, decided = policy.step(policy.start(), 100.0, hosts, guests)
    _, decided = policy.step(memory, 200.0, hosts, later(guests, 100.0))

    assert all(len(decided.sentence(row)) > 10 for row in range(len(guests)))


@pytest.mark.parametrize("name", sorted(set(RIVALS) - BLIND))
def test_a_guest_that_tells_nothing_is_left_alone(name: str) -> None:
    hosts, guests = stage(3, 1, 5)
    silent = replace(guests, statistics=np.full((5, STATISTICS), np.nan))

    assert np.isnan(two_steps(rival(name), hosts, silent)).all()


@pytest.mark.parametrize("name", RIVALS)
def test_a_host_without_guests_is_no_trouble(name: str) -> None:
    hosts, guests = stage(3, 1, 0)

    assert two_steps(rival(name), hosts, guests).shape == (2, 0)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_its_knobs_are_its_own(name: str) -> None:
    policy = find(name)
    for knob, (low, high, logarithmic) in knobs_of(type(policy)).items():
        assert low < high
        assert low > 0 or not logarithmic
        find(f"{name}:{knob}={low}")
        # Our own has its knobs among its settings.
        assert low <= getattr(getattr(policy, "settings", policy), knob) <= high
    assert len(knobs_of(type(policy))) <= 4 or name == "aerostat"


def test_a_policy_is_found_with_its_knobs() -> None:
    assert find("mom") == Mom()
    assert find("mom:host_free=0.3,interval=5") == Mom(host_free=0.3, interval=5)
    assert find("qubes:minimum=300MiB") == POLICIES["qubes"](minimum=300.0 * MIB)
    assert find("mine", {"mine": Mom}) == Mom()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mon", "did you mean mom"),
        ("chrome", "chromeos"),
        ("", "there is aerostat, "),
        ("mom:host=0.3", "host_free"),
        ("mom:host_free", "knob=value"),
        ("mom:host_free=much", "not a size"),
        ("mom:", "knob=value"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(text)


def test_tags_that_rivals_read_are_there() -> None:
    hosts, guests = stage(5, 1, 6)
    six = guests.statistics.copy()
    six[:, [*range(Tag.AVAILABLE_MEMORY, STATISTICS)]] = np.nan
    few = replace(guests, statistics=six)

    # With six statistics all that look at guests still do something.
    for name in RIVALS:
        assert not np.isnan(two_steps(rival(name), hosts, few)).all(), name
