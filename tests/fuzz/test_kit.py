"""The fuzzer itself: it finds what it is made to find, makes it small, and does all of it again."""

import os
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import PeerError, UsageError
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.fuzz import oracle
from aerostat.testing.fuzz.keeping import Store
from aerostat.testing.fuzz.minimise import minimise
from aerostat.testing.fuzz.mutation import cases, mutate
from aerostat.testing.fuzz.oracle import Oracle
from aerostat.testing.fuzz.playing import play
from aerostat.testing.fuzz.registry import PURE, find
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.vhost_user.descriptors import OwnedDescriptor


def refuse_odd(case: bytes) -> None:
    if len(case) % 2:
        raise PeerError("odd")


def stumble_over_seven(case: bytes) -> None:
    if 7 in case:
        raise KeyError(7)


def wait_for_ever(case: bytes) -> None:
    while len(case) > 2:
        pass


def keep_a_descriptor(case: bytes) -> None:
    if len(case) == 3:
        os.dup(2)


def forget_a_descriptor(case: bytes) -> None:
    if case:
        OwnedDescriptor(os.dup(2))


def test_what_is_refused_is_no_finding() -> None:
    played = play(Target("kind", "", refuse_odd), 1, count=200, clock=False)

    assert played.findings == ()
    assert played.cases == 200


def test_a_fault_is_found_once_and_made_small() -> None:
    target = Target("seven", "", stumble_over_seven)
    (finding,) = play(target, 1, count=2000, clock=False).findings

    assert finding.case == b"\x07"
    assert finding.identity.startswith("KeyError in ")
    assert "stumble_over_seven" in finding.trace


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "TICK", 0.01)
    judge = Oracle(Target("hang", "", wait_for_ever))
    with judge.watching(clock=False):
        finding = judge.judge(b"long")

    assert finding is not None
    assert finding.identity.startswith("Hang in ")


def test_a_descriptor_that_stays_open_is_found_in_the_case_that_opened_it() -> None:
    target = Target("leak", "", keep_a_descriptor, seeds=lambda: [b"a", b"abc", b"ab"])
    before = open_descriptors()
    try:
        (finding,) = play(target, 1, count=3, clock=False).findings
    finally:
        for descriptor in open_descriptors() - before:
            os.close(int(descriptor.split()[0]))

    assert (finding.identity, finding.case) == ("leak", b"abc")


def test_a_descriptor_that_nobody_closed_is_found_at_once() -> None:
    judge = Oracle(Target("forget", "", forget_a_descriptor))
    with judge.watching(clock=False):
        finding = judge.judge(b"x")

    assert finding is not None
    assert finding.identity.startswith("ResourceWarning")


def test_a_byte_outside_the_guests_memory_is_found() -> None:
    yard = Yard()
    yard.check()
    yard._whole[yard._guards[1] + 5] ^= 1

    with pytest.raises(AssertionError, match="outside"):
        yard.check()


@pytest.mark.parametrize("name", PURE)
def test_the_same_seed_makes_the_same_cases(name: str) -> None:
    target = find(name)

    assert target.name == name
    assert [*islice(cases(target, 3), 50)] == [*islice(cases(target, 3), 50)]
    assert [*islice(cases(target, 3), 50)] != [*islice(cases(target, 4), 50)]


@given(st.binary(max_size=200), st.integers(0, 1 << 32))
def test_a_mutation_is_no_longer_than_it_may_be(case: bytes, seed: int) -> None:
    target = Target("any", "", refuse_odd, words=(b"word",), longest=150)

    assert len(mutate(Random(seed), case, [case, b"other"], target)) <= 150


@given(st.lists(st.binary(max_size=20), min_size=3, max_size=6).map(b"\5".join))
def test_what_is_made_small_shows_the_same_and_no_more(case: bytes) -> None:
    assert minimise(case, lambda case: case.count(5) >= 2) == b"\5\5"


@given(st.binary(max_size=100))
def test_decisions_are_within_their_bounds_and_end_in_zeros(data: bytes) -> None:
    source = Source(data)
    while source.left:
        assert 0 <= source.below(1 + source.bits(20)) < 1 << 20
        assert 0 <= source.number(33) < 1 << 33
        assert 0 <= source.near(9, 16) < 1 << 16
        assert len(source.blob(9)) <= 9
        assert b"".join(source.cut(b"pieces")) == b"pieces"
    assert (source.byte(), source.below(7), source.number(64), source.blob(9)) == (0, 0, 0, b"")
    assert source.choose("first") == "f"
    assert not source.chance(99)


def test_findings_are_kept(tmp_path: Path) -> None:
    target = Target("seven", "", stumble_over_seven)
    (finding,) = play(target, 1, count=2000, clock=False).findings
    store = Store(tmp_path)

    assert store.keep(finding).read_bytes() == finding.case
    assert store.findings("seven") == [finding]
    store.forget(finding)
    assert store.findings("seven") == []
    (store.corpus("seven") / "a").write_bytes(b"long")
    (store.corpus("seven") / "b").write_bytes(b"s")
    assert [*store.cases("seven")] == [b"s", b"long"]


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="backend"):
        find("nonsense")
